package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/labstack/echo/v4"
)

//go:embed static
var staticFiles embed.FS

// static is what pages load: styles, scripts, the icon. Its address has a hash of
// all of it, so that browsers keep it for good and never mix two versions.
type static struct {
	hash  string
	files map[string]staticFile
}

// staticFile is one file, as it is and compressed.
type staticFile struct {
	media       string
	plain, gzip []byte
}

func readStatic() (s static, err error) {
	s.files = map[string]staticFile{}
	all := sha256.New()
	err = fs.WalkDir(staticFiles, "static", func(p string, d fs.DirEntry, err error) error {
		var media string
		switch path.Ext(p) { // what a machine says of these differs
		case ".js":
			media = "text/javascript; charset=utf-8"
		case ".css":
			media = "text/css; charset=utf-8"
		case ".svg":
			media = "image/svg+xml"
		default:
			return err // a folder, a licence
		}
		b, err := staticFiles.ReadFile(p)
		if err != nil {
			return err
		}
		fmt.Fprintf(all, "%s %d\n%s", p, len(b), b)
		s.files[path.Base(p)] = staticFile{media: media, plain: b, gzip: compress(b)}
		return nil
	})
	s.hash = hex.EncodeToString(all.Sum(nil))[:16]
	s.files["htmx.js"] = s.join("htmx.min.js", "hx-sse.min.js", "hx-csp.min.js")
	return s, err
}

// join is scripts as one. htmx begins its work in the task after its script: with
// extensions that are loaded apart it may begin without them, so that a live tail is
// none, and no hx attribute is asked for its nonce.
func (s static) join(names ...string) staticFile {
	var b []byte
	for _, name := range names {
		b = append(append(b, s.files[name].plain...), ";\n"...)
	}
	return staticFile{media: s.files[names[0]].media, plain: b, gzip: compress(b)}
}

func compress(b []byte) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	_, _ = w.Write(b) // to memory
	_ = w.Close()
	return out.Bytes()
}

// url is where a file is.
func (s static) url(file string) string { return base + "/static/" + s.hash + "/" + file }

// serve answers a file of this version. Another version's address has no answer:
// a page that names it was made by another replica, which has the files.
func (s static) serve(ec echo.Context) error {
	f, known := s.files[ec.Param("file")]
	if !known || ec.Param("hash") != s.hash {
		return ec.String(http.StatusNotFound, "There is no such file. Load the page again.\n")
	}
	h := ec.Response().Header()
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Vary", "Accept-Encoding")
	body := f.plain
	if strings.Contains(ec.Request().Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = f.gzip
	}
	return ec.Blob(http.StatusOK, f.media, body)
}
