package query_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/sink/query"
)

// TestRefused holds the engine to what it takes, and to where it says a mistake
// stands.
func TestRefused(t *testing.T) {
	w := newWorld(t, "iceberg")
	w.register("orders-value", orderSchema)
	for _, c := range []struct{ sql, want string }{
		{"", "there is no statement"},
		{" -- nothing", "there is no statement"},
		{"drop table orders", `line 1, column 1: "drop" begins no query`},
		{"select 1; select 2", "line 1, column 9: one statement at a time"},
		{"show tables; select 2", "line 1, column 12: one statement at a time"},
		{"select 1;;", ""},
		{"pragma query_only = 0", `"pragma" begins no query`},
		{"attach 'x.db' as x", `"attach" begins no query`},
		{"vacuum into 'x.db'", `"vacuum" begins no query`},
		{"begin", `"begin" begins no query`},
		{"with a as (select 1) delete from orders", "line 1, column 22: DELETE is not taken"},
		{"with a as (select 1) insert into orders select 1", "INSERT is not taken"},
		{"explain delete from orders", `"delete" begins no query`},
		{"explain", `"explain" begins no query`},
		{"create virtual table x using tarn(1, result)", `"create" begins no query`},
		{"select *\nfrom\n  ordrs", "line 3, column 3: no such table: ordrs, did you mean orders?"},
		{"select 1 from elsewhere", "no such table: elsewhere (SHOW TABLES lists them)"},
		{"select foo from orders", "line 1, column 8: no such column: foo"},
		{"select o.custmer from orders o", "line 1, column 10: no such column: o.custmer, did you mean customer?"},
		{"select KAFKA_OFSET from log.orders", "no such column: KAFKA_OFSET, did you mean kafka_offset?"},
		{"select 1 from orders o join (select id from orders) u on u.amount = o.amount", "no such column: u.amount (a column of orders)"},
		{"select lengthh(customer) from orders", "no such function: lengthh, did you mean length?"},
		{"describe nothing", "line 1, column 10: no such table: nothing (SHOW TABLES lists them)"},
		{"describe log.order", "no such table: log.order, did you mean orders?"},
		{"describe orders orders", "begins no query"},
		{"show orders", "begins no query"},
		{"select 'a", "line 1, column 8: the quote ' is not closed"},
		{`select "a"`, `line 1, column 8: no such column: "a"`},
		{"select ?", "no parameters"},
		{"select :a", "no parameters"},
		{"select load_extension('x')", "not authorized"},
		{`select * from lake."my.Plain"`, `topic my.Plain has no table of its own (tarn.table.formats); its records are in "my.Plain"`},
		{"select json_patch('{}', '{}')", "json_patch is not offered"},
		{"insert into \"tarn result\" select 1", "begins no query"},
		{"select count(*) from sqlite_schema", ""},
		{"select " + strings.Repeat("abs(", 300) + "1" + strings.Repeat(")", 300), "Expression tree"},
		{"select '" + strings.Repeat("x", 100_000) + "'", "more than 100000"},
		{"select zeroblob(5000000)", "too big"},
		{"select length(randomblob(100000000))", "too big"},
		{"select printf('%.*c', 100000000, 'x')", "too big"},
		{"select group_concat(kafka_key, zeroblob(4000000)) from (select 'a' as kafka_key union all select 'b' union all select 'c')", "too big"},
	} {
		got := w.ask(c.sql)
		if c.want == "" && strings.HasPrefix(got, "error") || c.want != "" && !strings.Contains(got, c.want) {
			t.Errorf("%.80s\ngot  %.300s\nwant %s", c.sql, got, c.want)
		}
	}
	if got := w.ask("select 1"); got != "1" {
		t.Errorf("afterwards: %s", got)
	}
}

// TestEnds runs statements that would not end, or take all there is.
func TestEnds(t *testing.T) {
	w := newWorld(t, "iceberg")
	id := w.register("orders-value", orderSchema)
	w.produce(orders, 0, "a", order(id, 1, "ann", 10.5))
	const count = "with recursive c(x) as (select 1 union all select x + 1 from c) "
	for _, sql := range []string{
		count + "select count(*) from c",
		count + "select x from c where x < 3 or x < 0", // after the first row, too
		count + "select * from c, orders",
		"with recursive c(x) as (select 1 union select x + 1 from c) select count(*) from c",
		"with recursive c(x) as (select randomblob(4000000) union select randomblob(4000000) from c) select count(*) from c",
		count + "select * from c order by x desc",
		count + "select group_concat(x) from c",
		count + "select a.x from c a, c b, c d where a.x + b.x = -d.x",
	} {
		_, err := w.engine.Query(t.Context(), query.Request{SQL: sql, Time: 300 * time.Millisecond, Rows: 1000})
		if err != nil && !errors.Is(err, query.ErrLimit) {
			t.Errorf("%s\n%v, want a limit", sql, err)
		}
	}
	// One that gives rows for ever ends by their number.
	if got := w.askWith(query.Request{SQL: count + "select x from c", Rows: 3}); got != "1\n2\n3\n…" {
		t.Errorf("three rows: %s", got)
	}
	// Functions that nothing interrupts end by themselves.
	for _, sql := range []string{
		"select instr(zeroblob(3000000), zeroblob(1500000) || x'01')",
		"select length(replace(hex(zeroblob(2000000)), hex(zeroblob(1000000)) || '1', ''))",
		"select hex(zeroblob(1000000)) like '%0%0%0%0%0%0%0%0%0%0%0%0%0%0%1'",
		"select hex(zeroblob(1000000)) glob '*0*0*0*0*0*0*0*0*0*0*0*0*0*1'",
	} {
		if got := w.ask(sql); strings.HasPrefix(got, "error") {
			t.Errorf("%s\n%s", sql, got)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.engine.Query(ctx, query.Request{SQL: "select 1"}); !errors.Is(err, context.Canceled) {
		t.Errorf("a query of nobody: %v", err)
	}
	if got := w.ask("select count(*) from orders"); got != "1" {
		t.Errorf("afterwards: %s", got)
	}
}

// TestAllow asks for topics that the asker may not read.
func TestAllow(t *testing.T) {
	w := newWorld(t)
	w.register("orders-value", orderSchema)
	no := errors.New("not for you")
	allow := func(topic string) error {
		if topic == "orders" {
			return no
		}
		return nil
	}
	for _, sql := range []string{"select 1 from orders", "select 1 from log.orders", "select count(*) from \"my.plain\", ORDERS"} {
		if _, err := w.engine.Query(t.Context(), query.Request{SQL: sql, Allow: allow}); !errors.Is(err, no) || !errors.Is(err, query.ErrRefused) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if _, err := w.engine.Query(t.Context(), query.Request{SQL: "select 1 from \"my.Plain\"", Allow: allow}); err != nil {
		t.Error(err)
	}
	for sql, want := range map[string]string{
		"describe orders": "no such table", "select 1 from order_": "(SHOW TABLES lists them)", "select customer from log.ordrs": "(SHOW TABLES lists them)",
	} {
		if _, err := w.engine.Query(t.Context(), query.Request{SQL: sql, Allow: allow}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", sql, err, want)
		}
	}
	for _, table := range w.engine.Tables(t.Context(), allow) {
		if table.Topic == "orders" {
			t.Errorf("listed: %+v", table)
		}
	}
}

// TestLatest asks for a topic whose table holds latest values: its log and its table
// are two things.
func TestLatest(t *testing.T) {
	w := newWorld(t, "iceberg")
	w.alter(func(o *sink.Topic) { o.Upsert = []string{sink.RecordKey} })
	id := w.register("orders-value", orderSchema)
	w.produce(orders, 0, "a", order(id, 1, "ann", 1))
	w.produce(orders, 0, "a", order(id, 2, "ann", 2))
	w.flush()
	if got := w.ask("select id from orders"); !strings.Contains(got, `ask lake."orders" or log."orders"`) {
		t.Errorf("both: %s", got)
	}
	if got := w.ask("select (select group_concat(id) from lake.orders), (select group_concat(id) from log.orders)"); got != `2,"1,2"` {
		t.Errorf("apart: %s", got)
	}
}

// TestRenamed asks for a field that has another name since: the column keeps the
// first name, whether its rows are in the table or in the log.
func TestRenamed(t *testing.T) {
	w := newWorld(t, "iceberg")
	first := w.register("orders-value", orderSchema)
	w.produce(orders, 0, "a", order(first, 1, "ann", 1))
	w.flush()
	second := w.register("orders-value", strings.Replace(orderSchema, `"name":"customer"`, `"name":"client","aliases":["customer"]`, 1))
	w.produce(orders, 0, "a", order(second, 2, "bob", 2))
	for _, round := range []string{"log", "table"} {
		if got := w.ask("select id, customer from orders order by id"); got != "1,ann\n2,bob" {
			t.Errorf("%s: %s", round, got)
		}
		if round == "log" {
			w.flush()
		}
	}
}

// TestWide asks for one row that would take gigabytes: nothing can stop SQLite
// between its values, so each must be small.
func TestWide(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ sql, want string }{
		{wide(1500, 1_900_000), "a value may have 29819 bytes in this statement"},
		{wide(1500, 10_000), ""},
		{wide(10, 1_900_000), ""},
	} {
		_, err := w.engine.Query(t.Context(), query.Request{SQL: c.sql})
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, query.ErrLimit) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%.60s: got %v, want %q", c.sql, err, c.want)
		}
	}
}

// wide is a statement with so many values of so many bytes in one row.
func wide(values, size int) string {
	var b strings.Builder
	for i := range values {
		fmt.Fprintf(&b, ", hex(randomblob(%d))", size+i)
	}
	return "select 1" + b.String()
}

// TestStatements cuts scripts.
func TestStatements(t *testing.T) {
	for script, want := range map[string][]string{
		"select 1":               {"select 1"},
		"select 1; select 2 ;\n": {"select 1", "select 2"},
		";; select ';' \"a;b\" -- c; d\n;/* ; */ ; 2": {"select ';' \"a;b\" -- c; d", "2"},
		"select 'open; select 2":                      {"select 'open; select 2"},
		"":                                            {""},
		" ; ":                                         {" ; "},
	} {
		if got := query.Statements(script); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", script, got, want)
		}
	}
}

// TestMemory asks for many temporary tables at a time, each of which keeps some
// memory: together they are too much. It goes on for ever once all are there.
func TestMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells how much memory a process has of its own")
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(400 << 20))
	w := newWorld(t)
	var b strings.Builder
	b.WriteString("with recursive e(x) as (select 1 union all select x + 1 from e) select count(*) from e where 1")
	for i := range 90 {
		fmt.Fprintf(&b, " and x not in (with recursive c(y) as (select %d union all select y + 1 from c where y < %d) select zeroblob(50000) || y from c)", i, i+60)
	}
	_, err := w.engine.Query(t.Context(), query.Request{SQL: b.String(), Time: query.MaxTime})
	if !errors.Is(err, query.ErrLimit) || !strings.Contains(err.Error(), "MB of memory, more than 64 MB") {
		t.Errorf("got %v, want the limit of memory", err)
	}
	if got := w.ask("select 1"); got != "1" {
		t.Errorf("afterwards: %s", got)
	}
}
