package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
)

type tableStatusCmd struct {
	connect
	Topic    string `arg:"" help:"Topic."`
	Snippets bool   `help:"Show how DuckDB, Spark, Trino, pyiceberg, Polars and delta-rs open the tables."`
}

// Run shows one topic's tables.
func (c *tableStatusCmd) Run(ctx context.Context, std stdio) error {
	var t tableStatus
	if err := c.call(ctx, http.MethodGet, "/api/tables/"+url.PathEscape(c.Topic), nil, &t); err != nil {
		return err
	}
	switch c.Output {
	case "json":
		return writeJSON(std.out, t)
	case "text":
		printStatus(std.out, t.Status, time.Now())
	}
	s := sheet{Columns: []string{"FORMAT", "STATE", "ROWS", "DEAD-LETTERS", "FILES", "BYTES", "VERSION", "COMMITTED", "LOCATION"}}
	for _, f := range t.Formats {
		if f.Unknown {
			s.add(f.Format, f.State, nil, nil, nil, nil, nil, nil, nil)
			continue
		}
		s.add(f.Format, f.State, f.Rows, f.DeadLetters, f.Files, f.Bytes, f.Version, moment(f.CommitMs), f.Location)
	}
	if err := s.write(std.out, c.Output); err != nil || c.Output != "text" {
		return err
	}
	for _, f := range t.Formats {
		if r := f.Rebuild; r != nil {
			fmt.Fprintf(std.out, "\n%s is being rebuilt: %d rows and %d dead letters in %d pieces, %d offsets to go; tarn table rebuild goes on if it was cut off, --abort gives it up\n",
				f.Format, r.Rows, r.DeadLetters, r.Pieces, r.Behind)
		}
		if f.Notice != "" {
			fmt.Fprintf(std.out, "\n%s: %s\n", f.Format, f.Notice)
		}
		if o := f.Foreign; o != nil {
			fmt.Fprintf(std.out, "\n%s: others have changed rows in %d commits, the last one version %s of %s%s; tarn table verify says what is missing or twice\n",
				f.Format, o.Commits, o.Version, moment(o.TimeMs), by(o))
		}
		if e := f.LastError; e != nil {
			fmt.Fprintf(std.out, "\nlast error of %s, %s: %s\n  %s\n", f.Format, moment(e.AtMs), e.Message, e.Fix)
		}
	}
	for _, s := range t.Snippets {
		if c.Snippets {
			fmt.Fprintf(std.out, "\n%s, %s (%s)\n\n%s\n", s.Format, s.Reader, s.Language, s.Text)
		}
	}
	return nil
}

// by says who made a commit, and by which operation, as far as that is known.
func by(o *tables.Foreign) string {
	out := ""
	if o.Operation != "" {
		out += ", " + o.Operation
	}
	if o.Engine != "" {
		out += " by " + o.Engine
	}
	return out
}

// printStatus writes what is the same for all formats.
func printStatus(w io.Writer, t sink.Status, now time.Time) {
	fmt.Fprintf(w, "%s  table %s  %s", t.Topic, t.Table, t.State)
	if t.Message != "" {
		fmt.Fprintf(w, ": %s", t.Message)
	}
	if t.Partition != "" {
		fmt.Fprintf(w, "\npartitioned by %s", t.Partition)
	}
	if t.Sort != "" {
		fmt.Fprintf(w, "\nsorted by %s", t.Sort)
	}
	fmt.Fprintf(w, "\n%d records behind the log, about %d bytes", t.Behind, t.PendingBytes)
	if t.FreshMs > 0 {
		fmt.Fprintf(w, "; the tables are as of %s", ago(now, t.FreshMs))
	}
	every := time.Duration(t.IntervalMs) * time.Millisecond
	fmt.Fprintf(w, "\ncommits every %v", every)
	if t.IntervalMs > t.ConfiguredMs {
		fmt.Fprintf(w, " (asked for: %v; wider while commits are slow)", time.Duration(t.ConfiguredMs)*time.Millisecond)
	} else {
		fmt.Fprint(w, ", so that rows are there when the topic's interval is over")
	}
	if t.NextMs > 0 {
		fmt.Fprintf(w, ", the next one by %s", moment(t.NextMs))
	}
	fmt.Fprintln(w)
	if t.Schema != nil {
		fmt.Fprintf(w, "schema %s version %d (id %d)\n", t.Schema.Subject, t.Schema.Version, t.Schema.ID)
		if t.Schema.Refused != "" {
			fmt.Fprintf(w, "  the tables cannot take it, and its records are dead letters: %s\n  %s\n", t.Schema.Refused, t.Schema.Fix)
		}
	}
	fmt.Fprintln(w)
}

// moment spells Unix ms, a dash for none.
func moment(ms int64) string {
	if ms <= 0 {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format(time.RFC3339)
}

// ago spells how long ago a moment was.
func ago(now time.Time, ms int64) string {
	d := now.Sub(time.UnixMilli(ms))
	if d < time.Second {
		return "now"
	}
	return d.Round(time.Second).String() + " ago"
}

type tableWaitCmd struct {
	connect
	Topic     string        `arg:"" help:"Topic."`
	Partition int32         `default:"-1" help:"Partition of the offset; may be left out where there is one."`
	Offset    int64         `default:"-1" help:"Wait for the record at this offset; default: for all that the log holds now."`
	Timeout   time.Duration `default:"30s" help:"How long to wait, 10m at most."`
}

// Run waits for records to be visible.
func (c *tableWaitCmd) Run(ctx context.Context, std stdio) error {
	q := url.Values{"timeout_ms": {strconv.FormatInt(c.Timeout.Milliseconds(), 10)}}
	if c.Offset >= 0 {
		q.Set("offset", strconv.FormatInt(c.Offset, 10))
	}
	if c.Partition >= 0 {
		q.Set("partition", strconv.Itoa(int(c.Partition)))
	}
	var done sink.Waited
	if err := c.call(ctx, http.MethodGet, "/api/tables/"+url.PathEscape(c.Topic)+"/wait?"+q.Encode(), nil, &done); err != nil {
		return err
	}
	if c.Output == "json" {
		return writeJSON(std.out, done)
	}
	return c.sayFields(std, []field{{"topic", done.Topic}, {"status", "visible"}}, done.Topic+": visible")
}
