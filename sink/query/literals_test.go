package query_test

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/sink/query"
)

// TestLiterals compares points in time and booleans with values as people write them.
func TestLiterals(t *testing.T) {
	w := newWorld(t, "iceberg")
	id := w.register("orders-value", `{"type":"record","name":"O","fields":[
		{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"ok","type":"boolean"}]}`)
	for i, ms := range []int64{1769860800000, 1769860800500, 1769860801000} { // 2026-01-31 12:00:00
		b := binary.AppendVarint(schema.AppendPrefix(nil, int32(id)), ms)
		w.produce(orders, 0, "k", append(b, byte(i%2)))
	}
	for _, tt := range []struct{ where, want string }{
		{"at > '2026-01-31T12:00:00Z'", "2"},
		{"at >= '2026-01-31T12:00:00.000Z'", "3"},
		{"at >= '2026-01-31 12:00:00.000'", "3"},
		{"at = '2026-01-31T12:00:00.5Z'", "1"},
		{"at = '2026-01-31T13:00:00.5+01:00'", "1"},
		{"at < '2026-01-31T14:00:00.500+0200'", "1"},
		{"'2026-01-31T12:00:00Z' < at", "2"},
		{"at > 1769860800000", "2"},
		{"1769860800500 <= o.at", "2"},
		{"at between '2026-01-31T12:00:00.1Z' and '2026-01-31T12:00:00.9Z'", "1"},
		{"at not between '2026-01-31T12:00:00.1Z' and '2026-01-31T12:00:00.9Z'", "2"},
		{"at in ('2026-01-31T12:00:00Z', 1769860801000)", "2"},
		{"at is not '2026-01-31T12:00:00Z'", "2"},
		{"at > '2026-01-31'", "3"},
		{"at like '2026-01-31 12:00:00%'", "2"},
		{"at > datetime('2026-01-31T12:00:00Z')", "2"},
		{"at > 'now'", "error: SQL: line 1, column 42: 'now' is no point in time, as at is: write '2026-01-31 12:00:00', or datetime('now', '-5 minutes')"},
		{"at > 5", "error: SQL: line 1, column 42: at is a point in time, a text such as '2026-01-31 12:00:00': compare it with one, or with datetime(5, 'unixepoch') for seconds since 1970"},
		{"ok = 'true'", "1"},
		{"ok = false", "2"},
		{"ok in ('False')", "2"},
		{"at > '2026-01-31T12:00:00Z' and at > 'x", "error: SQL: line 1, column 74: the quote ' is not closed"},
	} {
		if got := w.ask("select count(*) from orders o where " + tt.where); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.where, got, tt.want)
		}
	}
	for sql, want := range map[string]string{
		// A name that the statement gives to something else is left alone.
		"with c as (select count(*) as at from orders) select at from c where at > 2": "3",
		"with c as (select count(*) at from orders) select at from c where at > 2":    "3",
		"select at > '2026-01-31T12:00:00Z' from orders limit 1":                      "0",
		// Functions of other databases.
		"select count(*) from orders where at > now() - 5": "error: SQL: line 1, column 40: no such function: now: write datetime('now'), datetime('now', '-5 minutes')",
		// Where a mistake stands is told in the statement as it was written.
		"select nope from orders where at > 1769860800000":       "error: SQL: line 1, column 8: no such column: nope",
		"select 1 from orders where at > 1769860800000 and nope": "error: SQL: line 1, column 51: no such column: nope",
	} {
		if got := w.ask(sql); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", sql, got, want)
		}
	}
}

// TestWordsThatAreTopics asks statements in which a word for something else is also the
// name of a topic that cannot be read.
func TestWordsThatAreTopics(t *testing.T) {
	w := newWorld(t)
	w.register("orders-value", `{"type":"record","name":"O","fields":[{"name":"status","type":"string"}]}`)
	w.alter(func(o *sink.Topic) { o.Formats = []string{"iceberg"} })
	w.mu.Lock()
	w.topics[1].Name = "status"
	w.mu.Unlock()
	w.lake = func(context.Context, string) (sink.Lake, error) { return sink.Lake{}, sink.ErrNoTable }
	no := errors.New("not yours")
	allow := func(topic string) error {
		if topic == "status" {
			return no
		}
		return nil
	}
	if got := w.askWith(query.Request{SQL: "select count(status) from orders", Allow: allow}); got != "0" {
		t.Errorf("a column named like a topic that may not be read: %s", got)
	}
	for _, sql := range []string{"select count(*) from status", "select 1 from log.status", "select status from orders union select value from Status"} {
		if got := w.askWith(query.Request{SQL: sql, Allow: allow}); !strings.Contains(got, "refused: not yours") {
			t.Errorf("%s: %s, want it refused", sql, got)
		}
	}
	// orders has no table yet: only who asks for it hears so.
	if got := w.ask("select count(*) as lake from log.orders"); got != "0" {
		t.Errorf("lake as a name: %s", got)
	}
	if got := w.ask("select * from lake.orders"); !strings.Contains(got, "lake.orders is not there yet") {
		t.Errorf("a table that is not there yet: %s", got)
	}
}
