package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"sallyport.dev/streams/backup"
)

// Headers of the answer to a backup: about how many bytes come, and behind
// them, once it is over, why it is not whole.
const (
	backupSize  = "Backup-Size"
	backupError = "Backup-Error"
)

// Backup writes a backup of every organisation to w, not compressed, as
// [backup.Write]; begin, if not nil, is told first about how many bytes it will be.
// version is the program's. It is whole only without an error.
func (h *Host) Backup(ctx context.Context, version string, begin func(total int64), w io.Writer) error {
	o := backup.Options{Version: version, Now: time.Now()}
	for _, org := range h.orgs {
		o.Sources = append(o.Sources, org.BackupSource())
	}
	total, err := backup.EstimateSize(ctx, o)
	if err != nil {
		return err
	}
	if begin != nil {
		begin(total)
	}
	return backup.Write(ctx, w, o)
}

// serveBackup answers with a backup for as long as that takes.
func (h *Host) serveBackup(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	err := errors.Join(c.SetWriteDeadline(time.Time{}), c.SetReadDeadline(time.Time{}))
	if err == nil {
		w.Header().Set("Content-Type", "application/x-tar")
		w.Header().Set("Trailer", backupError)
		err = h.Backup(r.Context(), r.URL.Query().Get("version"), func(total int64) {
			w.Header().Set(backupSize, strconv.FormatInt(total, 10))
		}, w)
	}
	if err != nil {
		w.Header().Set(backupError, url.QueryEscape(err.Error()))
	}
}

// Backup is [Host.Backup].
func (c *Client) Backup(ctx context.Context, version string, begin func(total int64), w io.Writer) error {
	u := "http://host/backup?version=" + url.QueryEscape(version)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	patient := *c.http
	patient.Timeout = 0
	res, err := patient.Do(req)
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/x-tar" {
		return fmt.Errorf("the server that runs is of another version and makes no backups (%s): restart it", res.Status)
	}
	if total, err := strconv.ParseInt(res.Header.Get(backupSize), 10, 64); err == nil && begin != nil {
		begin(total)
	}
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("taking the backup from the server: %w", err)
	}
	if why := res.Trailer.Get(backupError); why != "" {
		if text, err := url.QueryUnescape(why); err == nil {
			why = text
		}
		return errors.New(why)
	}
	return nil
}
