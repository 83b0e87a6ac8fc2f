// Package probe is what anybody may ask the server about itself: whether it
// lives, whether it can decide, its contract, and the schemas of its events.
//
// It names no organisation, tells no error's text to strangers and depends on
// nobody else's service: a provider that is down makes no replica unready.
package probe

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
	"sallyport.dev/domain/events"
)

// Readiness is something that can tell, check by check, whether it can do its
// work; a nil error is ready.
type Readiness interface {
	Ready(context.Context) map[string]error
}

// Options of [New].
type Options struct {
	OpenAPI   []byte // the document answered at /openapi.yaml
	Catalogue *events.Catalogue
	Log       *slog.Logger
	// Ready are asked at /readyz, all of them.
	Ready []Readiness
}

// Probe answers about one process. It is safe for concurrent use.
type Probe struct {
	Options

	mu   sync.Mutex
	said map[string]time.Time // by check, when the log was told that it fails
}

// sayEvery is how often the log is told why a check fails: anybody may ask, and
// must not fill a disk by it that is full already.
const sayEvery = 10 * time.Second

// New answers with these.
func New(o Options) *Probe { return &Probe{Options: o, said: map[string]time.Time{}} }

// say tells the log why a check fails, now and then.
func (p *Probe) say(check string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if last, told := p.said[check]; told && now.Sub(last) < sayEvery {
		return
	}
	p.said[check] = now
	p.Log.Warn("not ready", "check", check, "error", err)
}

// Mount serves /livez, /readyz, /openapi.yaml and /schemas/{type}.
func (p *Probe) Mount(e *echo.Echo) {
	e.GET("/livez", func(c echo.Context) error { return health(c, http.StatusOK, nil) })
	e.GET("/readyz", p.readyz)
	e.GET("/openapi.yaml", func(c echo.Context) error {
		return c.Blob(http.StatusOK, "application/yaml", p.OpenAPI)
	})
	e.GET("/schemas/:type", p.schema)
}

var errNoSchema = &domain.Error{Kind: domain.KindNotFound, Code: "schema.not_found", Message: "There is no event type of that name."}

func (p *Probe) schema(c echo.Context) error {
	b, ok := p.Catalogue.Schema(c.Param("type"))
	if !ok {
		return errNoSchema
	}
	return c.Blob(http.StatusOK, "application/schema+json", b)
}

// readyz is 200 if every check of every organisation holds. With verbose it
// names the checks; why one fails is in the server's log alone.
func (p *Probe) readyz(c echo.Context) error {
	checks := map[string]string{}
	for _, r := range p.Ready {
		for name, err := range r.Ready(c.Request().Context()) {
			if err != nil {
				p.say(name, err)
			}
			if err != nil || checks[name] == "" {
				checks[name] = ok(err == nil)
			}
		}
	}
	status := http.StatusOK
	for _, state := range checks {
		if state != "ok" {
			status = http.StatusServiceUnavailable
		}
	}
	if c.QueryString() != "verbose" && !strings.HasPrefix(c.QueryString(), "verbose=") {
		checks = nil
	}
	return health(c, status, checks)
}

func ok(is bool) string {
	if is {
		return "ok"
	}
	return "unavailable"
}

func health(c echo.Context, status int, checks map[string]string) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(status, struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks,omitempty"`
	}{ok(status == http.StatusOK), checks})
}
