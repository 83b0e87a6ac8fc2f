package orgtest

import (
	"path/filepath"
	"time"

	"sallyport.dev/domain"
)

// Beside opens another organisation on the same log, as a process that serves
// several does. Nobody is in it yet.
func (w *World) Beside(name domain.Name) *World {
	w.t.Helper()
	data := w.t.TempDir()
	o := &World{Conn: w.Conn, Server: w.Server, opt: w.opt, t: w.t, began: time.Now()}
	o.opt.Name, o.opt.Now = name, o.clock
	o.opt.TrailPath, o.opt.SealDir = filepath.Join(data, "trail.db"), filepath.Join(data, "seal", name.String())
	o.TrailPath, o.SealDir = o.opt.TrailPath, o.opt.SealDir
	o.Organisation = o.open()
	w.t.Cleanup(func() { o.Organisation.Close() })
	w.t.Cleanup(o.audit)
	return o
}
