package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/tarn-io/tarn/sink"
)

type tableExplainCmd struct {
	connect
	Topic        string  `arg:"" help:"Topic."`
	PutPrice     float64 `default:"0.005" help:"Dollars for 1000 PUT, COPY, POST or LIST requests. The defaults are the list prices of Amazon S3 Standard in us-east-1, as of 2025."`
	GetPrice     float64 `default:"0.0004" help:"Dollars for 1000 GET and other requests."`
	StoragePrice float64 `default:"0.023" help:"Dollars for a GB (10^9 bytes) kept a month."`
}

// Run says what one topic's tables cost.
func (c *tableExplainCmd) Run(ctx context.Context, std stdio) error {
	var e sink.Explained
	if err := c.call(ctx, http.MethodGet, "/api/tables/"+url.PathEscape(c.Topic)+"/explain", nil, &e); err != nil {
		return err
	}
	if c.Output == "json" {
		return writeJSON(std.out, e)
	}
	p := sink.Prices{Puts: c.PutPrice, Gets: c.GetPrice, Storage: c.StoragePrice}
	s := sheet{Columns: []string{"FORMAT", "COMMITS/DAY", "FILES/DAY", "FILES", "AVERAGE-BYTES", "PUTS/DAY", "GETS/DAY", "REQUESTS-$/MONTH", "STORAGE-$/MONTH"}}
	for _, f := range e.Formats {
		s.add(f.Format, whole(f.CommitsPerDay), whole(f.CommitsPerDay), f.Files, f.AverageBytes, whole(f.Puts), whole(f.Gets),
			dollars(p.Requests(f.Puts, f.Gets)), dollars(p.Stored(f.Bytes)))
	}
	if err := s.write(std.out, c.Output); err != nil || c.Output != "text" {
		return err
	}
	printLonger(std.out, e, p)
	return nil
}

// printLonger says what longer intervals would save, and what all is based on.
func printLonger(w io.Writer, e sink.Explained, p sink.Prices) {
	var puts, gets float64
	for _, f := range e.Formats {
		puts, gets = puts+f.Puts, gets+f.Gets
		fmt.Fprintf(w, "\n%s: %d commits in the last %v", f.Format, f.Commits, (time.Duration(f.WindowMs) * time.Millisecond).Round(time.Second))
	}
	now := p.Requests(puts, gets)
	fmt.Fprintf(w, "\ncommits come every %v; requests of all formats cost $%s a month on S3\n", time.Duration(e.IntervalMs)*time.Millisecond, dollars(now))
	for _, l := range e.Longer {
		fmt.Fprintf(w, "  every %-6v %8s commits a day, $%s, which saves $%s a month; rows are seen up to that much later\n",
			time.Duration(l.IntervalMs)*time.Millisecond, whole(l.CommitsPerDay), dollars(p.Requests(l.Puts, l.Gets)), dollars(now-p.Requests(l.Puts, l.Gets)))
	}
	fmt.Fprintf(w, "prices: $%g for 1000 PUTs, $%g for 1000 GETs, $%g for a GB a month (--put-price, --get-price, --storage-price; the defaults are Amazon S3 Standard in us-east-1, as of 2025). Requests of maintenance and of readers are not counted.\n", p.Puts, p.Gets, p.Storage)
}

func whole(n float64) string { return fmt.Sprintf("%.0f", n) }

func dollars(n float64) string { return fmt.Sprintf("%.2f", n) }
