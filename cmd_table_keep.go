package main

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/tarn-io/tarn/sink"
)

type tableFilesCmd struct {
	connect
	Topic string `arg:"" help:"Topic."`
}

// Run lists the data files of one topic's tables.
func (c *tableFilesCmd) Run(ctx context.Context, std stdio) error {
	var all []sink.TableFiles
	if err := c.call(ctx, http.MethodGet, "/api/tables/"+url.PathEscape(c.Topic)+"/files", nil, &all); err != nil {
		return err
	}
	if c.Output == "json" {
		return writeJSON(std.out, all)
	}
	s := sheet{Columns: []string{"FORMAT", "TABLE", "ROWS", "BYTES", "FILE"}}
	for _, t := range all {
		for _, f := range t.Files {
			s.add(t.Format, t.Table, f.Rows, f.Size, path.Base(f.Key))
		}
	}
	return s.write(std.out, c.Output)
}

type tableHistoryCmd struct {
	connect
	Topic string `arg:"" help:"Topic."`
}

// Run lists the states of one topic's tables.
func (c *tableHistoryCmd) Run(ctx context.Context, std stdio) error {
	var all []sink.TableHistory
	if err := c.call(ctx, http.MethodGet, "/api/tables/"+url.PathEscape(c.Topic)+"/history", nil, &all); err != nil {
		return err
	}
	if c.Output == "json" {
		return writeJSON(std.out, all)
	}
	s := sheet{Columns: []string{"FORMAT", "TABLE", "VERSION", "TIME", "OPERATION", "ROWS", "FILES", "READABLE"}}
	for _, t := range all {
		for _, v := range t.Versions {
			s.add(t.Format, t.Table, v.ID, time.UnixMilli(v.TimeMs).UTC().Format(time.RFC3339), v.Operation,
				known(v.Rows), known(v.Files), v.Readable)
		}
	}
	return s.write(std.out, c.Output)
}

// known is a figure, nil one that is not recorded.
func known(n int64) any {
	if n < 0 {
		return nil
	}
	return n
}

type tableCompactCmd struct {
	connect
	Topic string `arg:"" help:"Topic."`
	dryRunFlag
}

// Run merges the small files of one topic's tables.
func (c *tableCompactCmd) Run(ctx context.Context, std stdio) error {
	return keepNow(ctx, std, &c.connect, c.Topic, "compact"+c.query("?"))
}

type tableExpireCmd struct {
	connect
	Topic string `arg:"" help:"Topic."`
	dryRunFlag
}

// Run forgets old states of one topic's tables.
func (c *tableExpireCmd) Run(ctx context.Context, std stdio) error {
	return keepNow(ctx, std, &c.connect, c.Topic, "expire"+c.query("?"))
}

// keepNow asks for maintenance and prints what it did.
func keepNow(ctx context.Context, std stdio, c *connect, topic, what string) error {
	columns := []string{"MERGED", "INTO", "BYTES", "DROPPED-ROWS", "EXPIRED", "REMOVED-FILES"}
	return eachFormat(ctx, std, c, http.MethodPost, topic, what, columns, func(k sink.Kept) []any {
		return []any{k.Merged, k.Made, k.Bytes, k.Dropped, k.Expired, k.Removed}
	})
}

// eachFormat asks for something to be done to a topic's tables, and prints what it was
// for each format.
func eachFormat[T any](ctx context.Context, std stdio, c *connect, method, topic, what string, columns []string, row func(T) []any) error {
	var done map[string]T
	if err := c.call(ctx, method, "/api/tables/"+url.PathEscape(topic)+"/"+what, nil, &done); err != nil {
		return err
	}
	if c.Output == "json" {
		return writeJSON(std.out, done)
	}
	s := sheet{Columns: append([]string{"FORMAT"}, columns...)}
	for _, format := range slices.Sorted(maps.Keys(done)) {
		s.add(append([]any{format}, row(done[format])...)...)
	}
	return s.write(std.out, c.Output)
}

type tableRedriveCmd struct {
	connect
	Topic string `arg:"" help:"Topic."`
	dryRunFlag
}

// Run decodes one topic's dead letters once more.
func (c *tableRedriveCmd) Run(ctx context.Context, std stdio) error {
	return eachFormat(ctx, std, &c.connect, http.MethodPost, c.Topic, "redrive"+c.query("?"), []string{"LETTERS", "REDRIVEN", "LEFT"}, func(d sink.Redriven) []any {
		if c.DryRun {
			return []any{d.Letters, nil, nil} // known when they are decoded
		}
		return []any{d.Letters, d.Rows, d.Left}
	})
}

type tableRebuildCmd struct {
	connect
	Topic string `arg:"" help:"Topic."`
	dryRunFlag
	FromLogStart bool `xor:"end" help:"Rebuild though the log no longer has all that the table was made of: rows that only the table has go."`
	Abort        bool `xor:"end" help:"Give up a rebuild that was cut off: remove what it has written, leave the tables as they are, and hold the log for it no longer."`
}

// Run writes one topic's tables anew, or gives that up.
func (c *tableRebuildCmd) Run(ctx context.Context, std stdio) error {
	if c.Abort && c.DryRun {
		return &exitError{2, errors.New("--abort takes no --dry-run: tarn table status says what there is of a rebuild")}
	}
	if c.Abort {
		return eachFormat(ctx, std, &c.connect, http.MethodDelete, c.Topic, "rebuild", []string{"OUTCOME", "PIECES"}, func(d sink.RebuildInfo) []any {
			outcome := "aborted"
			if d.Done {
				outcome = "finished" // its rows were in the table already
			}
			return []any{outcome, d.Pieces}
		})
	}
	what := "rebuild?from_log_start=" + strconv.FormatBool(c.FromLogStart) + c.query("&")
	if c.DryRun {
		return eachFormat(ctx, std, &c.connect, http.MethodPost, c.Topic, what, []string{"OFFSETS-TO-READ", "ROWS-WRITTEN-BEFORE"}, func(d sink.RebuildInfo) []any {
			return []any{d.Behind, d.Rows}
		})
	}
	return eachFormat(ctx, std, &c.connect, http.MethodPost, c.Topic, what, []string{"ROWS", "DEAD-LETTERS", "PIECES"}, func(d sink.RebuildInfo) []any {
		return []any{d.Rows, d.DeadLetters, d.Pieces}
	})
}
