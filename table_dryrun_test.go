package main

import (
	"os"
	"testing"
)

// TestDryRunTables holds dry runs of what is done to tables to what is done then: the
// files and states of all formats are as they were, and the figures are the same.
func TestDryRunTables(t *testing.T) {
	n := openNode(t)
	c := cliOn{t, n.addresses()}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("r.avsc", []byte(`{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	c.do(0, "schema register t-value r.avsc")
	c.do(0, "topic create t -c tarn.table.formats=iceberg,delta,parquet -c tarn.table.commit.interval.ms=3600000 -c tarn.table.compact=none -c tarn.table.snapshot.max=10")
	c.with(0, `{"a":0}`+"\n", "produce", "t")
	c.do(0, "table flush t")
	for range 12 {
		c.with(0, "bad\n", "produce", "t", "--raw") // becomes a dead letter
		c.with(0, `{"a":1}`+"\n", "produce", "t")
		same{"table flush t", "t: 2 rows would be committed", "t: 2 rows committed", 0, "table history t"}.check(c)
	}
	c.do(0, "topic create bare -c tarn.table.formats=delta")
	c.with(0, "{}\n", "produce", "bare")
	for _, s := range []same{
		{"table flush bare", "no schema is registered", "no schema is registered", 1, "table files t"},
		{"table rebuild bare", `topic "bare"`, `topic "bare"`, 1, "table files t"},
		{"table redrive t", "delta    12       -", "delta    12       0         12", 0, "table files t"},
		{"table rebuild none", "has no tables", "has no tables", 1, "table history t"},
	} {
		s.check(c)
	}
	for _, what := range []string{"expire", "compact", "expire"} {
		look := func() string {
			files, _ := c.do(0, "table files t")
			states, _ := c.do(0, "table history t")
			return files + states
		}
		before := look()
		would, _ := c.do(0, "table "+what+" t --dry-run")
		if after := look(); after != before {
			t.Errorf("%s --dry-run has changed\n%s\nto\n%s", what, before, after)
		}
		if did, _ := c.do(0, "table "+what+" t"); did != would {
			t.Errorf("%s has done\n%s\nand would have\n%s", what, did, would)
		} else {
			t.Logf("%s:\n%s", what, did)
		}
	}
	same{"table rebuild t", "parquet  25               0", "parquet  13    12            1", 0, "table history t"}.check(c)
	if _, problems := c.do(2, "table rebuild t --abort --dry-run"); problems == "" {
		t.Error("a dry run of --abort is taken")
	}
}
