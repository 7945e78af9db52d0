package api_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/brokertest"
)

// auditLog keeps what is written.
type auditLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *auditLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// take returns the refusals since the last time.
func (l *auditLog) take(t *testing.T) (out []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if m["component"] == "audit" {
			out = append(out, m)
		}
	}
	l.b.Reset()
	return out
}

// TestAudit wants a line for what was refused, which says who wanted what, and
// none for what was allowed or is only left out of a list.
func TestAudit(t *testing.T) {
	lg := &auditLog{}
	b, rules := guardedBroker(t, brokertest.WithConfig(func(c *broker.Config) { c.Log = slog.New(slog.NewJSONHandler(lg, nil)) }))
	tp := create(t, b, "secret", 1, nil)
	r := login(t, b, "alice")
	allow(t, rules, "alice")
	lg.take(t)
	if code := do[*kmsg.FetchResponse](r, 12, fetchFrom(tp, 0, 0)).Topics[0].Partitions[0].ErrorCode; code != noTopic {
		t.Errorf("fetch: code %d", code)
	}
	got := lg.take(t)
	if len(got) != 1 {
		t.Fatalf("%d lines: %v", len(got), got)
	}
	for key, want := range map[string]any{
		"level": "WARN", "msg": "access refused", "principal": "User:alice", "host": "127.0.0.1",
		"operation": "read", "resource": "topic", "name": "secret", "key": 1.0,
	} {
		if got[0][key] != want {
			t.Errorf("%s is %v, want %v", key, got[0][key], want)
		}
	}
	list := kmsg.NewPtrMetadataRequest()
	if n := len(do[*kmsg.MetadataResponse](r, 12, list).Topics); n != 0 {
		t.Errorf("%d topics are listed", n)
	}
	allow(t, rules, "alice", "read topic")
	if code := do[*kmsg.FetchResponse](r, 12, waitless(fetchFrom(tp, 0, 0))).Topics[0].Partitions[0].ErrorCode; code != 0 {
		t.Errorf("fetch with a rule: code %d", code)
	}
	if got := lg.take(t); len(got) > 0 {
		t.Errorf("lines for what is allowed, or was not asked for by name: %v", got)
	}
}

// waitless is a Fetch that does not wait for records.
func waitless(q *kmsg.FetchRequest) *kmsg.FetchRequest {
	q.MaxWaitMillis = 0
	return q
}
