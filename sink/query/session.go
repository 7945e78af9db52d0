package query

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
	"modernc.org/sqlite/vtab"

	"github.com/tarn-io/tarn/sink"
)

// Names within a session's database.
const (
	moduleName = "tarn"
	// resultTable takes the rows of the result. No topic's name has a space.
	resultTable = `"tarn result"`
	logSchema   = "log"
	lakeSchema  = "lake"
	// lettersSuffix is what a topic's table of dead letters adds to its name.
	lettersSuffix = "__dead_letters"
)

// session is one run of a query: a database in memory of its own, with the tables
// that the statement names. Used by one goroutine; SQLite calls back on it.
type session struct {
	engine *Engine
	ctx    context.Context
	cancel context.CancelCauseFunc
	st     *statement
	asked  *statement // st as it came, where errors have their places
	req    Request
	id     string
	out    *Result

	conn      *sql.Conn // of its database, while it runs
	relations []*relation
	// unmade says why tables are not there that a word of the statement may mean.
	unmade  map[string]error
	lakes   map[string]bool    // topics of which more than the log is asked
	topics  map[string]*source // by name: what every scan of this session reads
	full    bool               // the result takes no more rows
	err     error              // the first of a scan: SQLite keeps only some texts
	scanned int64
	// lists and collates say that IN, COLLATE stand in the statement.
	lists, collates bool
	// alone is that one table is asked once, and by values alone.
	alone     bool
	memoBytes int64       // that memos take
	groups    *groupTable // what was put together before SQLite
	long      bool        // a decimal of more digits than a float has was asked for
}

// opener opens connections of an engine's own driver.
type opener struct{ d *sqlite.Driver }

// dsn is a database in memory: a name in double quotes is never a string, and
// nothing may change what SQLite keeps for itself.
const dsn = ":memory:?_dqs=0&_defensive=1"

// Connect implements driver.Connector.
func (o opener) Connect(context.Context) (driver.Conn, error) { return o.d.Open(dsn) }

// Driver implements driver.Connector.
func (o opener) Driver() driver.Driver { return o.d }

// limits are what SQLite allows a connection.
var limits = [...][2]int{
	{sqlite3.SQLITE_LIMIT_SQL_LENGTH, 2 * maxSQL},
	{sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 200},
	{sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 100},
	{sqlite3.SQLITE_LIMIT_VDBE_OP, 100_000},
	{sqlite3.SQLITE_LIMIT_FUNCTION_ARG, 100},
	{sqlite3.SQLITE_LIMIT_ATTACHED, 2},
	{sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, maxPattern},
	{sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 1},
	{sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 1},
}

// run runs the statement and fills s.out.
func (s *session) run() error {
	db := sql.OpenDB(opener{s.engine.driver})
	defer func() { _ = db.Close() }() // it has nothing of its own
	conn, err := db.Conn(s.ctx)
	if err != nil {
		return s.explain(err)
	}
	defer func() { _ = conn.Close() }()
	s.conn = conn
	s.lists, s.collates = s.st.has("IN"), s.st.has("COLLATE")
	s.alone = s.st.alone()
	if err := s.prepare(conn); err != nil {
		return err
	}
	if err := s.rewrite(); err != nil {
		return err
	}
	stop := s.watch()
	defer stop()
	if s.st.explain {
		return s.runExplain(conn)
	}
	if err := s.describe(conn); err != nil {
		return err
	}
	sql, err := s.foldable()
	if err != nil {
		return err
	}
	if err := s.create(conn, "temp."+resultTable, "result"); err != nil {
		return err
	}
	tries := []string{sql}
	want := 0
	if e, ok := s.edgy(); ok && sql == s.st.sql {
		conditions, err := s.tries(e)
		if err != nil {
			return err
		}
		tries = tries[:0]
		for _, c := range conditions {
			tries = append(tries, e.within(c))
		}
		tries, want = append(tries, sql), e.want
	}
	for i, sql := range tries {
		s.out.Rows, s.out.bytes = nil, 0
		// The driver stops only statements that give no rows while they run: so the rows
		// go into a table, whose other side is this session.
		_, err = conn.ExecContext(s.ctx, "INSERT INTO temp."+resultTable+"\n"+sql)
		if s.full {
			s.out.Truncated = true
			return nil
		}
		if err != nil || i == len(tries)-1 || len(s.out.Rows) >= want {
			break
		}
	}
	return s.explain(err)
}

// rewrite writes the values of the statement as the columns have them that they are
// compared with.
func (s *session) rewrite() error {
	text, err := asColumnsHave(s.st.sql, s.st.tokens, s.literals())
	if err != nil {
		return err
	}
	return s.become(text)
}

// foldable is what is to be run: the statement, or what is left of it once rows were
// put together.
func (s *session) foldable() (sql string, err error) {
	if err := s.become(s.comparisons()); err != nil {
		return "", err
	}
	text, types := s.exactly()
	if err := s.become(text); err != nil {
		return "", err
	}
	for at, t := range types {
		if at < len(s.out.Columns) {
			s.out.Columns[at].Type = t
		}
	}
	f, ok, err := s.folding()
	if ok && err == nil && !s.req.plain {
		if ok, err = s.fold(f); ok && err == nil {
			return f.sql, nil
		}
	}
	if err != nil {
		return "", err
	}
	err = s.become(s.asNumbers())
	return s.st.sql, err
}

// become makes a text the statement that is run.
func (s *session) become(text string) error {
	if text == s.st.sql {
		return nil
	}
	st, err := parse(text)
	if err == nil {
		s.st = st
	}
	return err
}

// prepare makes the database: its schemas, its tables, and what it may do.
func (s *session) prepare(conn *sql.Conn) error {
	for _, text := range []string{
		"ATTACH ':memory:' AS " + logSchema, "ATTACH ':memory:' AS " + lakeSchema, "PRAGMA temp_store = FILE",
	} {
		if _, err := conn.ExecContext(s.ctx, text); err != nil {
			return s.explain(err)
		}
	}
	for _, l := range limits {
		if _, err := sqlite.Limit(conn, l[0], l[1]); err != nil {
			return fmt.Errorf("limit %d: %w", l[0], err)
		}
	}
	if _, err := sqlite.Limit(conn, sqlite3.SQLITE_LIMIT_LENGTH, s.st.valueBytes()); err != nil {
		return fmt.Errorf("limit of a value: %w", err)
	}
	return s.createTables(conn)
}

// createTables makes the tables that the statement names.
func (s *session) createTables(conn *sql.Conn) error {
	names, meant := s.st.names(), s.st.meant()
	s.unmade, s.lakes = map[string]error{}, map[string]bool{}
	type named struct {
		schema, name string
		topic        sink.Topic
		part         part
	}
	found := map[string][]named{}
	add := func(n named) {
		low := strings.ToLower(n.name)
		if !meant[low][n.schema] {
			return
		}
		if n.part != logOnly {
			s.lakes[n.topic.Name] = true
		}
		key := n.schema + "." + low
		if !slices.ContainsFunc(found[key], func(o named) bool { return o.name == n.name }) {
			found[key] = append(found[key], n)
		}
	}
	for _, t := range s.engine.cfg.Topics() {
		add(named{"", t.Name, t, whole})
		add(named{logSchema, t.Name, t, logOnly})
		if len(t.Formats) > 0 {
			for _, name := range []string{t.Name, t.Table} {
				add(named{lakeSchema, name, t, rowsOnly})
				add(named{lakeSchema, name + lettersSuffix, t, lettersOnly})
			}
		}
	}
	made := 0
	for key, list := range found {
		n := list[0]
		if len(list) > 1 { // names that differ in case only
			_, low, _ := strings.Cut(key, ".")
			list = slices.DeleteFunc(slices.Clone(list), func(n named) bool { return !slices.Contains(names[low], n.name) })
			if len(list) != 1 {
				return fmt.Errorf("%w: more topics than one are called %q but for upper and lower case: name one of them, as it is written, in a statement", ErrInvalid, low)
			}
			n = list[0]
		}
		if made++; made > maxTables {
			return fmt.Errorf("%w: the statement names more than %d tables", ErrLimit, maxTables)
		}
		schema := n.schema
		if schema == "" {
			schema = "main"
		}
		r := &relation{s: s, schema: schema, name: n.name, topic: n.topic, part: n.part}
		if err := r.opened(); errors.Is(err, ErrRefused) {
			s.unmade[schema+"."+strings.ToLower(n.name)] = err // the word may be a column's
			continue
		} else if err != nil {
			return err
		}
		s.relations = append(s.relations, r)
		if err := s.create(conn, schema+"."+quote(n.name), strconv.Itoa(len(s.relations)-1)); err != nil {
			return err
		}
	}
	return nil
}

// opened opens r.
func (r *relation) opened() (err error) {
	defer r.s.guard(&err)
	return r.open()
}

// quote makes a name of SQL.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// create makes a virtual table; what tells the module which one.
func (s *session) create(conn *sql.Conn, name, what string) error {
	_, err := conn.ExecContext(s.ctx, fmt.Sprintf("CREATE VIRTUAL TABLE %s USING %s(%s, %s)", name, moduleName, s.id, what))
	return s.explain(err)
}

// describe reads the names and types of the result's columns.
func (s *session) describe(conn *sql.Conn) error {
	var info []sqlite.ColumnInfo
	err := conn.Raw(func(c any) (err error) {
		of, ok := c.(interface {
			ColumnInfo(string) ([]sqlite.ColumnInfo, error)
		})
		if !ok {
			return errors.New("the SQLite driver does not describe columns")
		}
		info, err = of.ColumnInfo(s.st.sql)
		return err
	})
	if err != nil {
		return s.explain(err)
	}
	for _, c := range info {
		s.out.Columns = append(s.out.Columns, Column{c.Name, c.DeclType})
	}
	return nil
}

// runExplain runs EXPLAIN, which reads no rows of tables.
func (s *session) runExplain(conn *sql.Conn) error {
	text := s.st.sql
	f, folds, err := s.folding()
	if err != nil {
		return err
	}
	if folds {
		s.groups, _ = (&folded{folding: f}).table()
		if err := s.create(conn, "temp."+groupsTable, "groups"); err != nil {
			return err
		}
		text = "EXPLAIN QUERY PLAN " + f.sql
	}
	rows, err := conn.QueryContext(s.ctx, text)
	if err != nil {
		return s.explain(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return s.explain(err)
	}
	for _, n := range names {
		s.out.Columns = append(s.out.Columns, Column{Name: n})
	}
	if folds {
		_ = s.take([]any{int64(0), int64(0), int64(0), f.explain()})
	}
	for rows.Next() && !s.full {
		row := make([]any, len(names))
		at := make([]any, len(names))
		for i := range row {
			at[i] = &row[i]
		}
		if err := rows.Scan(at...); err != nil {
			return s.explain(err)
		}
		for i, v := range row {
			if text, ok := v.(string); ok {
				row[i] = readable(text)
			}
		}
		_ = s.take(row)
	}
	return s.explain(rows.Err())
}

// explain makes an error of SQLite one of ours.
func (s *session) explain(err error) error {
	if err == nil {
		return nil
	}
	if s.err != nil {
		return s.err
	}
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	var of *sqlite.Error
	if !errors.As(err, &of) {
		return err
	}
	message := err.Error()
	if i := strings.LastIndex(message, " ("); i > 0 { // the code
		message = message[:i]
	}
	message = strings.TrimPrefix(message, "SQL logic error: ")
	if of.Code() == sqlite3.SQLITE_TOOBIG || of.Code() == sqlite3.SQLITE_FULL {
		return fmt.Errorf("%w: %s; a value may have %d bytes in this statement", ErrLimit, message, s.st.valueBytes())
	}
	if name, ok := strings.CutPrefix(message, "no such table: "); ok {
		for _, name := range []string{name, "main." + name, lakeSchema + "." + name} {
			if err := s.unmade[strings.ToLower(name)]; err != nil {
				return err
			}
		}
	}
	return s.asked.place(message, s.hint(message))
}

// fail remembers the error of a scan, and gives it back.
func (s *session) fail(err error) error {
	if s.err == nil {
		s.err = err
	}
	return err
}

// guard makes a panic in a callback of SQLite's an error of the query: whoever is
// above would find the connection's locks held.
func (s *session) guard(err *error) {
	if p := recover(); p != nil {
		s.engine.cfg.Log.Error("a query met a fault in Tarn", "sql", s.st.sql, "fault", p, "stack", string(debug.Stack()))
		*err = s.fail(fmt.Errorf("a fault in Tarn, which its log describes: %v", p))
	}
}

// errFull ends a statement whose result is full.
var errFull = errors.New("the result is full")

// take takes a row of the result.
func (s *session) take(row []any) error {
	for _, v := range row {
		s.out.bytes += valueOverhead
		switch v := v.(type) {
		case string:
			s.out.bytes += int64(len(v))
		case []byte:
			s.out.bytes += int64(len(v))
		}
	}
	if len(s.out.Rows) >= s.req.Rows || s.out.bytes > maxResultBytes {
		s.full, s.out.Truncated = true, true
		return errFull
	}
	s.out.Rows = append(s.out.Rows, row)
	return nil
}

// valueOverhead is about what a value takes beside its bytes.
const valueOverhead = 24

// module makes the virtual tables of all sessions.
type module struct{ e *Engine }

// VolatileArgs implements vtab.VolatileArgsOpter: whatever is kept of arguments is
// copied. Without it, texts would end at a zero byte.
func (m module) VolatileArgs() bool { return true }

// Connect implements vtab.Module.
func (m module) Connect(c vtab.Context, args []string) (vtab.Table, error) { return m.Create(c, args) }

// Create implements vtab.Module.
func (m module) Create(c vtab.Context, args []string) (t vtab.Table, err error) {
	if len(args) != 5 {
		return nil, errors.New("tables are not made by hand")
	}
	s := m.e.session(strings.TrimSpace(args[3]))
	if s == nil {
		return nil, errors.New("tables are not made by hand")
	}
	defer s.guard(&err)
	what := strings.TrimSpace(args[4])
	if what == "result" {
		return s.createResult(c)
	}
	if what == "groups" && s.groups != nil {
		return s.groups, s.explain(c.Declare("CREATE TABLE x(" + strings.Join(s.groups.declared, ", ") + ")"))
	}
	n, err := strconv.Atoi(what)
	if err != nil || n < 0 || n >= len(s.relations) {
		return nil, errors.New("tables are not made by hand")
	}
	r := s.relations[n]
	if err := c.Declare(r.declaration()); err != nil {
		return nil, s.fail(fmt.Errorf("columns of %s: %w", r.topic.Name, err))
	}
	return r, nil
}

// resultSink is the table into which a statement's rows go.
type resultSink struct {
	relation
	s *session
}

func (s *session) createResult(c vtab.Context) (vtab.Table, error) {
	var b strings.Builder
	b.WriteString("CREATE TABLE x(")
	for i := range s.out.Columns {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("c" + strconv.Itoa(i))
	}
	b.WriteByte(')')
	if err := c.Declare(b.String()); err != nil {
		return nil, s.fail(fmt.Errorf("%w: %d columns", ErrLimit, len(s.out.Columns)))
	}
	return &resultSink{relation: relation{s: s, empty: true}, s: s}, nil
}

// Insert implements vtab.Updater.
func (r *resultSink) Insert(cols []vtab.Value, _ *int64) error {
	row := make([]any, len(cols))
	for i, v := range cols {
		switch v := v.(type) {
		case string:
			row[i] = strings.Clone(v)
		case []byte:
			row[i] = slices.Clone(v)
		default:
			row[i] = v
		}
	}
	return r.s.take(row)
}

// Update implements vtab.Updater.
func (r *resultSink) Update(int64, []vtab.Value, *int64) error { return errFull }

// Delete implements vtab.Updater.
func (r *resultSink) Delete(int64) error { return errFull }

// source is what a session reads of a topic: the same in all scans.
type source struct {
	lake    sink.Lake
	hasLake bool
	lakeErr error
	from    map[int32]int64 // start of each partition's log
	to      map[int32]int64 // last stable offset then
}
