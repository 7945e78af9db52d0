package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/meter"
	"github.com/tarn-io/tarn/sink"
)

// TestTableMetrics wants every metric of tables written, and described in the
// sink's README.
func TestTableMetrics(t *testing.T) {
	readme, err := os.ReadFile("sink/README.md")
	if err != nil {
		t.Fatal(err)
	}
	now := time.UnixMilli(1_700_000_005_000)
	var out bytes.Buffer
	took := meter.New(1, 5)
	took.Observe(0.5)
	took.Observe(2)
	writeTables(&out, []sink.Measure{{
		Topic: `or"ders`, Format: "delta", State: sink.Running, Untranslated: 3, Uncommitted: 4,
		Pace:  sink.Pace{FreshMs: 1_700_000_000_000, IntervalMs: 20_000},
		Tally: sink.Tally{Commits: 2}, Took: took.Snapshot(), Files: 7, Bytes: 800, Looked: true, Kept: sink.Kept{Rounds: 5, Bytes: 6},
	}, {Topic: "new", Format: "iceberg", State: sink.Stalled}}, now)
	got := out.String()
	for _, m := range tableMetrics() {
		if !strings.Contains(string(readme), "`"+m.name+"`") {
			t.Errorf("sink/README.md does not describe %s", m.name)
		}
		if !strings.Contains(got, "# TYPE "+m.name+" "+m.kind+"\n") {
			t.Errorf("%s is not written", m.name)
		}
	}
	for _, want := range []string{
		`tarn_table_pending_records{topic="or\"ders",format="delta"} 3`,
		`tarn_table_uncommitted_records{topic="or\"ders",format="delta"} 4`,
		`tarn_table_freshness_seconds{topic="or\"ders",format="delta"} 5`,
		`tarn_table_commit_interval_seconds{topic="or\"ders",format="delta"} 20`,
		`tarn_table_commit_duration_seconds_bucket{topic="or\"ders",format="delta",le="1"} 1`,
		`tarn_table_commit_duration_seconds_bucket{topic="or\"ders",format="delta",le="+Inf"} 2`,
		`tarn_table_commit_duration_seconds_sum{topic="or\"ders",format="delta"} 2.5`,
		`tarn_table_commit_duration_seconds_count{topic="or\"ders",format="delta"} 2`,
		`tarn_table_files{topic="or\"ders",format="delta"} 7`,
		`tarn_table_bytes{topic="or\"ders",format="delta"} 800`,
		`tarn_table_keeper_rewritten_bytes_total{topic="or\"ders",format="delta"} 6`,
		`tarn_table_up{topic="or\"ders",format="delta"} 1`,
		`tarn_table_up{topic="new",format="iceberg"} 0`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
	if strings.Contains(got, `tarn_table_freshness_seconds{topic="new"`) || strings.Contains(got, `tarn_table_files{topic="new"`) {
		t.Errorf("freshness or files of a table that nobody knows")
	}
}
