package console

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"sallyport.dev/domain"
)

func TestAPanicIsAPageAndOneLineOfTheLog(t *testing.T) {
	s := newSite(t, trial(func(*page) error { panic("the screen's own words") }, confirmed))
	s.signIn("olga", domain.Owner)
	var log bytes.Buffer
	s.console.log = slog.New(slog.NewTextHandler(&log, nil))
	w := s.get("olga", s.path("/trial/x"))
	id := w.Header().Get("X-Request-Id")
	if body := w.Body.String(); w.Code != http.StatusInternalServerError || !strings.Contains(body, "<h1>Something went wrong on our side</h1>") || !strings.Contains(body, id) {
		t.Errorf("got %d: %s", w.Code, body)
	}
	if strings.Contains(w.Body.String(), "own words") || w.Header().Get("Content-Security-Policy") == "" {
		t.Error("the page tells what panicked, or has no policy")
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "own words") || !strings.Contains(log.String(), id) {
		t.Errorf("%d lines of the log: %s", lines, &log)
	}
}

func TestWhatPanicsOnEveryPageIsAPageToo(t *testing.T) {
	s := newSite(t, screen{path: "/trial", menu: "Trial", icon: "key", group: "Trust", get: confirmed, count: func(*page) int { panic("counting") }})
	s.signIn("olga", domain.Owner)
	if w := s.get("olga", s.path("/")); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "<h1>Something went wrong on our side</h1>") {
		t.Errorf("got %d: %s", w.Code, w.Body)
	}
}

func TestAFileThatIsNotThereIsToldInText(t *testing.T) {
	s := newSite(t)
	w := s.get("", "/console/static/0000000000000000/console.css")
	if kind := w.Header().Get("Content-Type"); w.Code != http.StatusNotFound || !strings.HasPrefix(kind, "text/plain") {
		t.Errorf("got %d as %s: %s", w.Code, kind, w.Body)
	}
}
