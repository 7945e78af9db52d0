package main

import (
	"context"
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

// known spells a figure, a dash for one that is not recorded.
func known(n int64) string {
	if n < 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

type tableCompactCmd struct {
	connect
	Topic string `arg:"" help:"Topic."`
}

// Run merges the small files of one topic's tables.
func (c *tableCompactCmd) Run(ctx context.Context, std stdio) error {
	return keepNow(ctx, std, &c.connect, c.Topic, "compact")
}

type tableExpireCmd struct {
	connect
	Topic string `arg:"" help:"Topic."`
}

// Run forgets old states of one topic's tables.
func (c *tableExpireCmd) Run(ctx context.Context, std stdio) error {
	return keepNow(ctx, std, &c.connect, c.Topic, "expire")
}

// keepNow asks for maintenance and prints what it did.
func keepNow(ctx context.Context, std stdio, c *connect, topic, what string) error {
	var done map[string]sink.Kept
	if err := c.call(ctx, http.MethodPost, "/api/tables/"+url.PathEscape(topic)+"/"+what, nil, &done); err != nil {
		return err
	}
	if c.Output == "json" {
		return writeJSON(std.out, done)
	}
	s := sheet{Columns: []string{"FORMAT", "MERGED", "INTO", "BYTES", "DROPPED-ROWS", "EXPIRED", "REMOVED-FILES"}}
	for _, format := range slices.Sorted(maps.Keys(done)) {
		k := done[format]
		s.add(format, k.Merged, k.Made, k.Bytes, k.Dropped, k.Expired, k.Removed)
	}
	return s.write(std.out, c.Output)
}

type tableRedriveCmd struct {
	connect
	Topic string `arg:"" help:"Topic."`
}

// Run decodes one topic's dead letters once more.
func (c *tableRedriveCmd) Run(ctx context.Context, std stdio) error {
	var done map[string]sink.Redriven
	if err := c.call(ctx, http.MethodPost, "/api/tables/"+url.PathEscape(c.Topic)+"/redrive", nil, &done); err != nil {
		return err
	}
	if c.Output == "json" {
		return writeJSON(std.out, done)
	}
	s := sheet{Columns: []string{"FORMAT", "LETTERS", "REDRIVEN", "LEFT"}}
	for _, format := range slices.Sorted(maps.Keys(done)) {
		d := done[format]
		s.add(format, d.Letters, d.Rows, d.Left)
	}
	return s.write(std.out, c.Output)
}

type tableRebuildCmd struct {
	connect
	Topic        string `arg:"" help:"Topic."`
	FromLogStart bool   `xor:"end" help:"Rebuild though the log no longer reaches back to where the table begins: rows that only the table has go."`
	Abort        bool   `xor:"end" help:"Give up a rebuild that was cut off: remove what it has written, leave the tables as they are, and hold the log for it no longer."`
}

// Run writes one topic's tables anew, or gives that up.
func (c *tableRebuildCmd) Run(ctx context.Context, std stdio) error {
	if c.Abort {
		return c.abort(ctx, std)
	}
	var done map[string]sink.RebuildInfo
	path := "/api/tables/" + url.PathEscape(c.Topic) + "/rebuild?from_log_start=" + strconv.FormatBool(c.FromLogStart)
	if err := c.call(ctx, http.MethodPost, path, nil, &done); err != nil {
		return err
	}
	if c.Output == "json" {
		return writeJSON(std.out, done)
	}
	s := sheet{Columns: []string{"FORMAT", "ROWS", "DEAD-LETTERS", "PIECES"}}
	for _, format := range slices.Sorted(maps.Keys(done)) {
		d := done[format]
		s.add(format, d.Rows, d.DeadLetters, d.Pieces)
	}
	return s.write(std.out, c.Output)
}

func (c *tableRebuildCmd) abort(ctx context.Context, std stdio) error {
	var done map[string]sink.RebuildInfo
	if err := c.call(ctx, http.MethodDelete, "/api/tables/"+url.PathEscape(c.Topic)+"/rebuild", nil, &done); err != nil {
		return err
	}
	if c.Output == "json" {
		return writeJSON(std.out, done)
	}
	s := sheet{Columns: []string{"FORMAT", "OUTCOME", "PIECES"}}
	for _, format := range slices.Sorted(maps.Keys(done)) {
		outcome := "aborted"
		if done[format].Done {
			outcome = "finished" // its rows were in the table already
		}
		s.add(format, outcome, done[format].Pieces)
	}
	return s.write(std.out, c.Output)
}
