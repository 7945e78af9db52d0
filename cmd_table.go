package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tarn-io/tarn/sink"
)

type tableCmd struct {
	List   tableListCmd   `cmd:"" help:"List topics that have tables."`
	Status tableStatusCmd `cmd:"" help:"Show how far a topic's tables have come."`
	Wait   tableWaitCmd   `cmd:"" help:"Wait until records are visible in a topic's tables; exit 1 if they are not in time."`
	Flush  tableFlushCmd  `cmd:"" help:"Commit everything that is in the log now, and wait for it."`
	Verify tableVerifyCmd `cmd:"" help:"Compare log and tables offset by offset; exit 1 with the gaps and duplicates, 2 if it could not tell."`

	Explain tableExplainCmd `cmd:"" help:"Say what a topic's tables cost in commits, files and requests, and what a longer interval would save."`
	Rebuild tableRebuildCmd `cmd:"" help:"Write a topic's tables anew from the log, beside their rows, and exchange all rows in one commit. Cut off, it goes on when it is asked for again."`
	Redrive tableRedriveCmd `cmd:"" help:"Bring dead letters into a topic's tables that have become valid, after a schema was mended."`
	Files   tableFilesCmd   `cmd:"" help:"List the data files of a topic's tables."`
	History tableHistoryCmd `cmd:"" help:"List the states of a topic's tables, the newest first."`
	Compact tableCompactCmd `cmd:"" help:"Merge all small files of a topic's tables now, and take out rows past tarn.table.retention.ms."`
	Expire  tableExpireCmd  `cmd:"" help:"Forget old states of a topic's tables now, and remove files that nothing names; rows past their time are for tarn table compact."`
}

type tableListCmd struct {
	connect
}

// Run lists the tables.
func (c *tableListCmd) Run(ctx context.Context, std stdio) error {
	var all []sink.Status
	if err := c.call(ctx, http.MethodGet, "/api/tables", nil, &all); err != nil {
		return err
	}
	if c.Output == "json" {
		return writeJSON(std.out, all)
	}
	s := sheet{Columns: []string{"TOPIC", "TABLE", "FORMATS", "STATE", "PENDING-RECORDS"}}
	for _, t := range all {
		var formats []string
		for _, f := range t.Formats {
			formats = append(formats, f.Format)
		}
		s.add(t.Topic, t.Table, strings.Join(formats, "+"), t.State, t.Behind)
	}
	return s.write(std.out, c.Output)
}

type tableFlushCmd struct {
	connect
	Topic string `arg:"" help:"Topic."`
	dryRunFlag
}

// Run flushes one topic's tables.
func (c *tableFlushCmd) Run(ctx context.Context, std stdio) error {
	var f sink.Flushed
	if err := c.call(ctx, http.MethodPost, "/api/tables/"+url.PathEscape(c.Topic)+"/flush"+c.query("?"), nil, &f); err != nil {
		return err
	}
	if c.Output == "json" {
		return writeJSON(std.out, f)
	}
	return c.sayFields(std, []field{{"topic", c.Topic}, {"rows", f.Rows}}, fmt.Sprintf("%s: %d rows %s", c.Topic, f.Rows, c.did("committed")))
}

type tableVerifyCmd struct {
	connect
	Topic string `arg:"" help:"Topic."`
}

// Run compares log and tables. It exits 0 if every record of the log below the
// table's progress is in the table once, 1 if not, 2 if it could not be told.
func (c *tableVerifyCmd) Run(ctx context.Context, std stdio) error {
	var r sink.Report
	if err := c.call(ctx, http.MethodPost, "/api/tables/"+url.PathEscape(c.Topic)+"/verify", nil, &r); err != nil {
		return &exitError{2, err}
	}
	var err error
	switch c.Output {
	case "json":
		err = writeJSON(std.out, r)
	case "csv":
		err = reportSheet(r).write(std.out, "csv")
	default:
		err = printReport(std, r)
	}
	switch {
	case err != nil:
		return &exitError{2, err}
	case r.Verdict == sink.VerdictUnknown:
		return &exitError{2, nil}
	case r.Verdict != sink.VerdictOK:
		return &exitError{1, nil}
	}
	return nil
}

// reportSheet is a report as a row for each format; gaps and the like are counted.
func reportSheet(r sink.Report) *sheet {
	s := &sheet{Columns: []string{"TOPIC", "FORMAT", "VERDICT", "RECORDS", "ROWS", "DEAD-LETTERS", "GAPS", "DUPLICATES", "STALE", "UNCHECKED", "DELETED", "MESSAGE"}}
	for _, f := range r.Formats {
		s.add(r.Topic, f.Format, f.Verdict, f.Records, f.Rows, f.DeadLetters, len(f.Gaps), len(f.Duplicates), len(f.Stale), f.Unchecked, len(f.Deleted), f.Message)
	}
	return s
}

func printReport(std stdio, r sink.Report) error {
	for _, f := range r.Formats {
		fmt.Fprintf(std.out, "%s %s: %s  %d records in the log, %d rows, %d dead letters, up to the last commit\n",
			r.Topic, f.Format, f.Verdict, f.Records, f.Rows, f.DeadLetters)
		for _, g := range f.Gaps {
			fmt.Fprintf(std.out, "  gap: partition %d offsets %d to %d\n", g.Partition, g.From, g.To-1)
		}
		for _, d := range f.Duplicates {
			fmt.Fprintf(std.out, "  duplicate: partition %d offset %d stands %d times\n", d.Partition, d.Offset, d.Count)
		}
		for _, d := range f.Stale {
			fmt.Fprintf(std.out, "  row of a record that is not its key's last: partition %d offset %d\n", d.Partition, d.From)
		}
		if f.Unchecked > 0 {
			fmt.Fprintf(std.out, "  %d rows have keys that the log does not hold any more\n", f.Unchecked)
		}
		for _, d := range f.Deleted {
			fmt.Fprintf(std.out, "  deleted from the log before they reached the table: partition %d offsets %d to %d\n", d.Partition, d.From, d.To-1)
		}
		if f.Message != "" {
			fmt.Fprintf(std.out, "  %s\n", f.Message)
		}
	}
	_, err := fmt.Fprintf(std.out, "%s: %s\n", r.Topic, r.Verdict)
	return err
}
