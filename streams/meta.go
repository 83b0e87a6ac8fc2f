package streams

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sallyport.dev/domain"
)

// StoredConfig is the configuration of a log on one server as the server keeps
// it (meta.inf): for a store that is put in place while no server runs. A server
// that finds a store without one passes over it, and says that it could not be recovered.
func StoredConfig(org domain.Name, created time.Time) ([]byte, error) {
	b, err := json.Marshal(struct {
		Created time.Time
		jetstream.StreamConfig
	}{created.UTC(), wantedConfig(org, 1)})
	if err != nil {
		return nil, fmt.Errorf("encoding the configuration of the log of %s: %w", org, err)
	}
	return b, nil
}
