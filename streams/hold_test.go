package streams_test

import (
	"sync"

	"sallyport.dev/domain"
)

// holdBack makes a fold fall behind: while it is shut, nothing passes.
type holdBack struct {
	mu   sync.Mutex
	gate chan struct{}
}

func (h *holdBack) shut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gate == nil {
		h.gate = make(chan struct{})
	}
}

func (h *holdBack) open() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gate != nil {
		close(h.gate)
		h.gate = nil
	}
}

func (h *holdBack) pass([]domain.Commit) {
	h.mu.Lock()
	gate := h.gate
	h.mu.Unlock()
	if gate != nil {
		<-gate
	}
}
