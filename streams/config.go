package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sallyport.dev/domain"
)

// dedupeWindow is how long the server knows a commit's id again.
const dedupeWindow = 2 * time.Minute

func streamName(org domain.Name) string      { return "ORG_" + string(org) }
func controlSubject(org domain.Name) string  { return "org." + string(org) + ".control" }
func activitySubject(org domain.Name) string { return "org." + string(org) + ".activity" }

// wantedConfig is the one configuration a log may have. Two literal subjects:
// the fence is not safe with a wildcard on three replicas. Commits of one log
// are much alike, so that compressed blocks take a sixth of the room; but not
// with several copies: a server of a cluster cuts its copy back when it starts,
// and one of nats-server 2.15.2 that cuts a compressed block compresses it again
// and then appends to it, uncompressed, which nobody can read after.
func wantedConfig(org domain.Name, replicas int) jetstream.StreamConfig {
	compression := jetstream.NoCompression
	if replicas == 1 {
		compression = jetstream.S2Compression
	}
	return jetstream.StreamConfig{
		Name:              streamName(org),
		Subjects:          []string{controlSubject(org), activitySubject(org)},
		Retention:         jetstream.LimitsPolicy,
		MaxConsumers:      -1,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxMsgsPerSubject: -1,
		MaxMsgSize:        -1,
		Discard:           jetstream.DiscardNew,
		Storage:           jetstream.FileStorage,
		Replicas:          replicas,
		Duplicates:        dedupeWindow,
		Compression:       compression,
		DenyDelete:        true,
		DenyPurge:         true,
	}
}

// streamInfo is what the leader says of a stream; the configuration stays raw so
// that a field this program does not know is compared, too.
type streamInfo struct {
	Config json.RawMessage `json:"config"`
	State  struct {
		Messages uint64 `json:"messages"`
		Last     uint64 `json:"last_seq"`
		// Stored is when the last message was, zero if there is none.
		Stored time.Time `json:"last_ts"`
	} `json:"state"`
	Now     time.Time `json:"ts"` // by the leader's clock
	Cluster struct {
		Leader   string `json:"leader"`
		Replicas []struct {
			Active time.Duration `json:"active"` // since the leader heard from it; 0: it never did
		} `json:"replicas"`
	} `json:"cluster"`
}

// openStream makes the log where there is none and refuses one whose
// configuration is not the wanted one, or which has holes. It reads back what
// it made, since the server silently rewrites some combinations.
func openStream(ctx context.Context, c *Conn, want jetstream.StreamConfig) error {
	info, err := streamState(ctx, c, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if err := createStream(ctx, c, want); err != nil {
			return fmt.Errorf("creating the log %s: %w", want.Name, c.whyNotMade(err))
		}
		info, err = madeState(ctx, c, want.Name)
	}
	if err != nil {
		return fmt.Errorf("reading the log %s: %w", want.Name, err)
	}
	if err := compareConfig(want, info.Config); err != nil {
		return err
	}
	if err := compress(ctx, c, want, info.Config); err != nil {
		return err
	}
	if s := info.State; s.Messages != s.Last { // sequences begin at 1
		return fmt.Errorf("the log %s is damaged: it has %d of the %d commits it should have",
			want.Name, s.Messages, s.Last)
	}
	return nil
}

func streamState(ctx context.Context, c *Conn, name string) (streamInfo, error) {
	var info streamInfo
	err := c.api(ctx, "$JS.API.STREAM.INFO."+name, struct{}{}, &info)
	return info, err
}

// createStream asks for the log, for eight seconds while servers are missing: those
// of a cluster that starts as we do come one by one.
func createStream(ctx context.Context, c *Conn, want jetstream.StreamConfig) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for try := 0; ; try++ {
		var created streamInfo
		err := c.api(ctx, "$JS.API.STREAM.CREATE."+want.Name, want, &created)
		var refused *jetstream.APIError
		if !errors.As(err, &refused) || refused.ErrorCode != codeNoPeers || pause(ctx, backoff(try)) != nil {
			return err
		}
	}
}

// madeState is [streamState] of what was made a moment ago, perhaps by another
// process, too, and is not there yet for some.
func madeState(ctx context.Context, c *Conn, name string) (streamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for try := 0; ; try++ {
		info, err := streamState(ctx, c, name)
		if !errors.Is(err, jetstream.ErrStreamNotFound) || pause(ctx, backoff(try)) != nil {
			return info, err
		}
	}
}

// compress asks for compression in a log that was made before there was any.
// What is on disk stays as it is; the server compresses the blocks that it fills
// after it opens the log the next time. An account that may not change the log
// leaves it as it is: it only takes more room.
func compress(ctx context.Context, c *Conn, want jetstream.StreamConfig, got json.RawMessage) error {
	g, err := flat(got)
	if err != nil || want.Compression == jetstream.NoCompression || g["compression"] != plainBlocks {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tryWithin) // who may not is not answered
	defer cancel()
	var updated streamInfo
	if err := c.api(ctx, "$JS.API.STREAM.UPDATE."+want.Name, want, &updated); err != nil {
		c.log.Warn("the log is not compressed, and this account cannot change that: it takes some six times the room",
			"stream", want.Name, "error", err)
		return nil
	}
	c.log.Info("the log is compressed from its next full block on, once the NATS server was started again", "stream", want.Name)
	return compareConfig(want, updated.Config)
}

// plainBlocks is how a server writes that a stream is not compressed.
const plainBlocks = `"none"`

// compareConfig names every field in which the stored configuration differs. A
// log that is not compressed is as good as one that is.
func compareConfig(want jetstream.StreamConfig, got json.RawMessage) error {
	wantBytes, err := json.Marshal(want)
	if err != nil {
		return fmt.Errorf("encoding the configuration of %s: %w", want.Name, err)
	}
	w, err := flat(wantBytes)
	if err != nil {
		return err
	}
	g, err := flat(got)
	if err != nil {
		return err
	}
	var drift []string
	fields := maps.Clone(w)
	maps.Copy(fields, g)
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		if k == "compression" && g[k] == plainBlocks {
			continue
		}
		if w[k] != g[k] {
			drift = append(drift, fmt.Sprintf("%s is %s and must be %s", k, orUnset(g[k]), orUnset(w[k])))
		}
	}
	if drift != nil {
		return fmt.Errorf("the configuration of the log %s has drifted: %s", want.Name, strings.Join(drift, "; "))
	}
	return nil
}

// flat is a JSON object as field to compact text, without the fields that say
// nothing: zero values, which some versions write out and some leave out, and
// the metadata that the server adds about itself.
func flat(b []byte) (map[string]string, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("decoding a stream configuration: %w", err)
	}
	out := map[string]string{}
	for k, v := range m {
		switch s := string(v); s {
		case "null", "false", "0", `""`, "{}", "[]":
		default:
			if k != "metadata" {
				out[k] = s
			}
		}
	}
	return out, nil
}

func orUnset(s string) string {
	if s == "" {
		return "unset"
	}
	return s
}
