package main

import (
	"fmt"
	"io"
	"time"

	"github.com/tarn-io/tarn/sink"
)

// tableMetric is one metric of tables.
type tableMetric struct {
	name, kind, help string
	value            func(m *sink.Measure, now time.Time) any // nil leaves the sample out
}

// tableMetrics are the metrics of tables, documented in sink/README.md; a test
// holds the two together. The lag that is not translated yet and the one that
// waits for a commit stand apart: the first is the sink's, the second the
// catalog's or the store's.
func tableMetrics() []tableMetric {
	return []tableMetric{
		{"tarn_table_pending_records", "gauge", "Records of the log that are not in files yet (translate lag).",
			func(m *sink.Measure, _ time.Time) any { return m.Untranslated }},
		{"tarn_table_uncommitted_records", "gauge", "Records in files that wait for their table's commit (commit lag).",
			func(m *sink.Measure, _ time.Time) any { return m.Uncommitted }},
		{"tarn_table_freshness_seconds", "gauge", "Age of the moment of which all the topic's tables are: what was in the log then is in them.",
			func(m *sink.Measure, now time.Time) any {
				if m.FreshMs == 0 {
					return nil
				}
				return max(0, float64(now.UnixMilli()-m.FreshMs)/1000)
			}},
		{"tarn_table_commit_interval_seconds", "gauge", "The commit interval in force; slow commits widen it.",
			func(m *sink.Measure, _ time.Time) any { return float64(m.IntervalMs) / 1000 }},
		{"tarn_table_up", "gauge", "1 while the table goes on, 0 in every state but running.",
			func(m *sink.Measure, _ time.Time) any {
				if m.State == sink.Running {
					return 1
				}
				return 0
			}},
		{"tarn_table_commits_total", "counter", "Commits to the table.",
			func(m *sink.Measure, _ time.Time) any { return m.Commits }},
		{"tarn_table_failures_total", "counter", "Attempts that failed, of all that is done with the table but maintenance.",
			func(m *sink.Measure, _ time.Time) any { return m.Failures }},
		{"tarn_table_rows_total", "counter", "Rows committed.",
			func(m *sink.Measure, _ time.Time) any { return m.Rows }},
		{"tarn_table_files", "gauge", "Data files of the table, when maintenance looked last.",
			func(m *sink.Measure, _ time.Time) any { return seen(m, m.Files) }},
		{"tarn_table_bytes", "gauge", "Size of these files.",
			func(m *sink.Measure, _ time.Time) any { return seen(m, m.Bytes) }},
		{"tarn_table_dlq_records_total", "counter", "Dead letters committed.",
			func(m *sink.Measure, _ time.Time) any { return m.DeadLetters }},
		{"tarn_table_keeper_rounds_total", "counter", "Looks of maintenance at the table.",
			func(m *sink.Measure, _ time.Time) any { return m.Kept.Rounds }},
		{"tarn_table_keeper_failures_total", "counter", "Looks of maintenance that went wrong.",
			func(m *sink.Measure, _ time.Time) any { return m.Kept.Failed }},
		{"tarn_table_keeper_merged_files_total", "counter", "Files that were merged into larger ones.",
			func(m *sink.Measure, _ time.Time) any { return m.Kept.Merged }},
		{"tarn_table_keeper_made_files_total", "counter", "Files that merging made.",
			func(m *sink.Measure, _ time.Time) any { return m.Kept.Made }},
		{"tarn_table_keeper_rewritten_bytes_total", "counter", "Bytes read in merging.",
			func(m *sink.Measure, _ time.Time) any { return m.Kept.Bytes }},
		{"tarn_table_keeper_expired_states_total", "counter", "Earlier states of the table that were forgotten.",
			func(m *sink.Measure, _ time.Time) any { return m.Kept.Expired }},
		{"tarn_table_keeper_removed_files_total", "counter", "Files deleted because no state of the table names them.",
			func(m *sink.Measure, _ time.Time) any { return m.Kept.Removed }},
		{"tarn_table_keeper_dropped_rows_total", "counter", "Rows that went by tarn.table.retention.ms.",
			func(m *sink.Measure, _ time.Time) any { return m.Kept.Dropped }},
	}
}

// commitDuration is the one metric of tables that is a histogram.
const commitDuration = "tarn_table_commit_duration_seconds"

// seen leaves out what nobody has looked at yet.
func seen(m *sink.Measure, v int64) any {
	if !m.Looked {
		return nil
	}
	return v
}

// writeTables writes the metrics of all tables.
func writeTables(w io.Writer, all []sink.Measure, now time.Time) {
	for _, t := range tableMetrics() {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", t.name, t.help, t.name, t.kind)
		for i := range all {
			m := &all[i]
			if v := t.value(m, now); v != nil {
				fmt.Fprintf(w, "%s{topic=%s,format=%s} %v\n", t.name, label(m.Topic), label(m.Format), v)
			}
		}
	}
	took := &metricFamily{name: commitDuration, kind: "histogram", help: "How long commits to the table took."}
	for i := range all {
		if all[i].Took.Count > 0 {
			took.addHistogram(all[i].Took, "topic", all[i].Topic, "format", all[i].Format)
		}
	}
	writeFamilies(w, took)
}
