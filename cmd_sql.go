package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/tarn-io/tarn/sink/query"
)

type sqlCmd struct {
	connect
	Query   string        `arg:"" optional:"" help:"Statement, or several with semicolons between, or a file of them whose name ends in .sql; - or none reads standard input, and from a terminal one statement after the other."`
	File    string        `short:"f" type:"path" placeholder:"FILE" help:"Read the statements from a file."`
	Tables  bool          `help:"List the tables that there are, with their columns."`
	Limit   int           `default:"10000" placeholder:"N" help:"Rows of the result, at most; one million at most."`
	Timeout time.Duration `default:"30s" help:"How long the query may take; ten minutes at most."`
	Format  string        `enum:"parquet,arrow,arrow-stream,jsonl," default:"" placeholder:"FORMAT" help:"Write parquet, arrow, arrow-stream or jsonl instead of --output's form."`
	Out     string        `short:"o" type:"path" placeholder:"FILE" help:"Write to a file."`
	Stats   bool          `help:"Say on standard error what was read: rows, files, row groups, batches."`
	DuckDB  bool          `name:"duckdb" help:"Print the command that asks DuckDB the same of the tables."`
}

// Help shows examples.
func (c *sqlCmd) Help() string {
	return `A topic's name is a table: the rows of its lake table and the records of its log
that are not in there yet, each once. log.NAME is its log alone, lake.NAME its lake
table alone. Without a statement, at a terminal, it asks for one after the other, with
history and Tab; .help says more there.

  tarn sql 'select customer, sum(amount) from orders group by 1 order by 2 desc'
  tarn sql "select * from orders where kafka_timestamp > datetime('now', '-5 minutes')"
  tarn sql 'select count(*) from orders' --output json
  tarn sql 'select * from orders' --format parquet -o orders.parquet
  tarn sql 'select * from orders' --format arrow-stream | python3 -c 'import sys, pyarrow.ipc; print(pyarrow.ipc.open_stream(sys.stdin.buffer).read_all())'
  tarn sql --tables`
}

// Run asks the running broker and writes what it answers.
func (c *sqlCmd) Run(ctx context.Context, std stdio) error {
	if c.Tables {
		return c.listTables(ctx, std)
	}
	if c.Query == "" && c.File == "" && c.Out == "" && c.format() == "text" && isTerminal(std.in) && isTerminal(std.out) {
		return c.shell(ctx, std)
	}
	sql, err := c.statement(std)
	if err != nil {
		return err
	}
	binary := c.Format != "" && c.Format != "jsonl"
	if binary && c.Out == "" && isTerminal(std.out) {
		return fmt.Errorf("--format %s is not for terminals: give -o FILE, or a pipe", c.Format)
	}
	script := query.Statements(sql)
	if len(script) == 1 {
		script[0] = sql // errors name its lines
	}
	if len(script) > 1 && binary {
		return fmt.Errorf("--format %s is for the rows of one statement, and here are %d", c.Format, len(script))
	}
	out := &sqlOutput{path: c.Out, std: std.out}
	for i, sql := range script {
		if i > 0 && (c.format() == "text" || c.format() == "csv") {
			_, err = io.WriteString(out.to, "\n")
		}
		if err == nil {
			err = c.one(ctx, std, sql, out)
		}
		if err != nil && len(script) > 1 {
			err = fmt.Errorf("statement %d of %d: %w", i+1, len(script), err)
		}
		if err != nil {
			break
		}
	}
	return errors.Join(err, out.close())
}

// sqlOutput is where results go. A file is made with the first one.
type sqlOutput struct {
	path string
	std  io.Writer
	to   io.Writer // nil before
	file *os.File
}

func (o *sqlOutput) open() (err error) {
	if o.to != nil {
		return nil
	}
	if o.to = o.std; o.path != "" {
		if o.file, err = os.Create(o.path); err != nil {
			return fmt.Errorf("make %s (-o): %w", o.path, err)
		}
		o.to = o.file
	}
	return nil
}

func (o *sqlOutput) close() error {
	if o.file == nil {
		return nil
	}
	if err := o.file.Close(); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// one asks one statement and writes what is answered.
func (c *sqlCmd) one(ctx context.Context, std stdio, sql string, out *sqlOutput) error {
	resp, err := c.ask(ctx, sqlRequest{SQL: sql, Limit: c.Limit, TimeoutMs: c.Timeout.Milliseconds(), Format: c.format()})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := out.open(); err != nil {
		return err
	}
	if _, err := io.Copy(out.to, c.enveloped(out.to, resp.Body)); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	if c.Stats && !c.DuckDB {
		fmt.Fprintln(std.err, "tarn:", cmp.Or(statsLine(resp), "nothing was read"))
	}
	if note := resp.Header.Get(noteHeader); note != "" {
		fmt.Fprintln(std.err, "tarn:", note)
	}
	if resp.Header.Get("Tarn-Truncated") == "true" {
		fmt.Fprintf(std.err, "tarn: there are more rows: --limit is %d\n", c.Limit)
	}
	return nil
}

// enveloped puts a list of objects into the envelope of --output json.
func (c *sqlCmd) enveloped(out io.Writer, body io.Reader) io.Reader {
	a, ok := out.(*commandOutput)
	if !ok || c.format() != "objects" {
		return body
	}
	head := fmt.Sprintf("{\"command\": %q, \"version\": %d, \"items\":\n", a.command, envelopeVersion)
	return io.MultiReader(strings.NewReader(head), body, strings.NewReader("}\n"))
}

// format is the form that is asked for.
func (c *sqlCmd) format() string {
	switch {
	case c.DuckDB:
		return formatDuckDB
	case c.Format != "":
		return c.Format
	case c.Output == "json":
		return "objects"
	}
	return c.Output
}

// statement reads what is to be asked.
func (c *sqlCmd) statement(std stdio) (string, error) {
	switch {
	case c.File != "" && c.Query != "":
		return "", errors.New("give a statement or -f FILE, not both")
	case c.File != "":
		b, err := os.ReadFile(c.File)
		return string(b), err
	case strings.HasSuffix(c.Query, ".sql") && !strings.ContainsAny(c.Query, " \t\n"): // no statement is one word
		b, err := os.ReadFile(c.Query)
		return string(b), err
	case c.Query != "" && c.Query != "-":
		return c.Query, nil
	}
	b, err := io.ReadAll(io.LimitReader(std.in, maxSQLRequest))
	return string(b), err
}

// ask sends the query; the caller closes the answer's body. It has no limit of its own: the
// broker bounds results.
func (c *sqlCmd) ask(ctx context.Context, in sqlRequest) (*http.Response, error) {
	base, err := c.httpAddress()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+sqlPages, bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("address %s (--http): %w", base, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if c.User != "" {
		req.SetBasicAuth(c.User, c.Password)
	}
	web, err := c.httpClient()
	if err != nil {
		return nil, err
	}
	resp, err := web.Do(req)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("the query was ended before its result was there: %w", context.Cause(ctx))
	}
	if err != nil {
		return nil, fmt.Errorf("no broker answers at %s (start one with tarn serve, or give --http URL): %w", base, err)
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		var e apiError
		if b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)); err == nil && json.Unmarshal(b, &e) == nil && e.Message != "" {
			return nil, &e
		}
		return nil, fmt.Errorf("POST %s answered %s", base+sqlPages, resp.Status)
	}
	return resp, nil
}

// listTables lists tables, one a line, with their columns.
func (c *sqlCmd) listTables(ctx context.Context, std stdio) error {
	var all []query.Table
	if err := c.call(ctx, http.MethodGet, sqlPages+"/tables", nil, &all); err != nil {
		return err
	}
	if c.Output == "json" {
		return writeJSON(std.out, all)
	}
	s := sheet{Columns: []string{"TABLE", "ROWS", "COLUMNS"}}
	for _, t := range all {
		var columns []string
		for _, col := range t.Columns {
			columns = append(columns, col.Name+" "+col.Type)
		}
		if t.Error != "" {
			columns = []string{t.Error}
		}
		s.add(t.Name, t.Rows, strings.Join(columns, ", "))
	}
	return s.write(std.out, c.Output)
}
