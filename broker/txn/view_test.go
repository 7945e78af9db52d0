package txn

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/wire"
)

// TestListTransactions filters three ids: one under way for a minute, one under
// way for a second, one that has done nothing.
func TestListTransactions(t *testing.T) {
	w := newWorld(t, memory.New())
	owners := map[string]owner{}
	for _, id := range []string{"long", "new", "idle"} {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.Version, req.TransactionalID, req.TransactionTimeoutMillis = 5, &id, 600_000
		resp := w.InitProducerID(t.Context(), req)
		owners[id] = owner{resp.ProducerID, resp.ProducerEpoch}
	}
	join := func(id string) {
		if err := w.Join(t.Context(), id, owners[id].id, owners[id].epoch, []storage.TP{tp1}); err != nil {
			t.Fatal(err)
		}
	}
	join("long")
	w.nowMs.Add(59_000)
	join("new")
	w.nowMs.Add(1000)
	for _, c := range []struct {
		name    string
		version int16
		change  func(*kmsg.ListTransactionsRequest)
		want    string
	}{
		{"all", 2, nil, "idle long new"},
		{"state", 0, func(q *kmsg.ListTransactionsRequest) { q.StateFilters = []string{"Ongoing"} }, "long new"},
		{"two states", 0, func(q *kmsg.ListTransactionsRequest) { q.StateFilters = []string{"Empty", "Dead"} }, "idle"},
		{"unknown state", 0, func(q *kmsg.ListTransactionsRequest) { q.StateFilters = []string{"Nope", "Empty"} }, "idle ?Nope"},
		{"unknown states only", 0, func(q *kmsg.ListTransactionsRequest) { q.StateFilters = []string{"ongoing"} }, " ?ongoing"},
		{"producer", 0, func(q *kmsg.ListTransactionsRequest) { q.ProducerIDFilters = []int64{7, owners["new"].id} }, "new"},
		{"duration", 1, func(q *kmsg.ListTransactionsRequest) { q.DurationFilterMillis = 1000 }, "idle long"},
		{"duration before it was there", 0, func(q *kmsg.ListTransactionsRequest) { q.DurationFilterMillis = 1000 }, "idle long new"},
		{"pattern", 2, func(q *kmsg.ListTransactionsRequest) { q.TransactionalIDPattern = text("long|ne.") }, "long new"},
		{"pattern of a part", 2, func(q *kmsg.ListTransactionsRequest) { q.TransactionalIDPattern = text("lon") }, ""},
		{"no pattern", 2, func(q *kmsg.ListTransactionsRequest) { q.TransactionalIDPattern = text(" ") }, "idle long new"},
		{"bad pattern", 2, func(q *kmsg.ListTransactionsRequest) { q.TransactionalIDPattern = text("new)|(?:long") }, "INVALID_REGULAR_EXPRESSION"},
		{"long pattern", 2, func(q *kmsg.ListTransactionsRequest) {
			q.TransactionalIDPattern = text(strings.Repeat("a", maxPatternBytes+1))
		}, "INVALID_REGULAR_EXPRESSION"},
	} {
		req := kmsg.NewPtrListTransactionsRequest()
		req.Version = c.version
		if c.change != nil {
			c.change(req)
		}
		resp := w.ListTransactions(req)
		var ids []string
		for _, s := range resp.TransactionStates {
			ids = append(ids, s.TransactionalID)
		}
		got := strings.Join(ids, " ")
		if resp.ErrorCode != 0 {
			got = wire.Code(resp.ErrorCode).String()
		}
		for _, name := range resp.UnknownStateFilters {
			got += fmt.Sprint(" ?", name)
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func text(s string) *string { return &s }
