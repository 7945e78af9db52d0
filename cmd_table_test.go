package main

import (
	"bytes"
	"testing"

	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
)

// TestPrintReport holds what people read of a verification.
func TestPrintReport(t *testing.T) {
	var out bytes.Buffer
	err := printReport(stdio{out: &out}, sink.Report{Topic: "orders", Verdict: sink.VerdictBad, Formats: []sink.FormatReport{{
		Format: "delta", Verdict: sink.VerdictBad, Message: "and more", Records: 9, Rows: 6, DeadLetters: 1,
		Gaps:       []tables.Range{{Partition: 1, From: 3, To: 5}},
		Duplicates: []sink.Duplicate{{Partition: 0, Offset: 7, Count: 2}},
		Deleted:    []tables.Range{{Partition: 2, From: 0, To: 4}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	want := `orders delta: bad  9 records in the log, 6 rows, 1 dead letters, up to the last commit
  gap: partition 1 offsets 3 to 4
  duplicate: partition 0 offset 7 stands 2 times
  deleted from the log before they reached the table: partition 2 offsets 0 to 3
  and more
orders: bad
`
	if got := out.String(); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}
