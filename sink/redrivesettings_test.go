package sink_test

import (
	"testing"

	"github.com/tarn-io/tarn/sink"
)

// TestRedriveUnderOtherSettings cuts a redrive off at each of its writes, and changes what
// rows are made by: a step that was stored is finished as it was drawn, as if its letters
// had come in before the change, and all others are rows of the settings of now, or
// letters still. Unlike a rebuild, a redrive keeps nothing from one step to the next.
func TestRedriveUnderOtherSettings(t *testing.T) {
	const never, first, second = "part = 100 / (id % 2)", "part = 100 / (id % 2 + 1)", "part = 200 / (id % 2 + 1)"
	old, mixed := 0, 0 // tables in which some of the letters are rows of the first settings, some of each
	for n := 0; ; n += pace {
		w := newWorld(t)
		w.level = 12
		w.topics[0].Formats, w.topics[0].Generated = []string{"iceberg", "parquet"}, never
		w.register("orders-value", orderV1)
		w.run()
		for id := range 8 {
			w.produce(0, order(1, int64(id), "x"))
			if id%4 == 3 {
				w.flush() // two files of letters
			}
		}
		w.check(4, 4)
		under := func(formula string) {
			w.halt()
			w.topics[0].Generated = formula
			w.run()
			w.flushOn()
		}
		under(first)
		w.fuse.arm(n, n%2 == 0, true)
		_, err := w.manager.Redrive(t.Context(), "orders")
		w.halt()
		blown := w.fuse.heal()
		if (blown == "") != (err == nil) {
			t.Fatalf("redrive: %v, cut off at write %d: %q", err, n, blown)
		}
		under(never)
		w.redriveOn()
		if r, err := w.manager.Verify(t.Context(), "orders"); err != nil || r.Verdict != sink.VerdictOK {
			t.Fatalf("cut off at %q, under settings by which they are letters: %+v, %v", blown, r, err)
		}
		under(second)
		w.redriveOn()
		w.check(8, 0)
		for _, format := range w.topics[0].Formats {
			by := map[string]int{}
			for offset, cell := range w.cells(format, "part") {
				if offset%2 == 0 { // a letter at first
					by[cell]++
				}
			}
			if by["100"]+by["200"] != 4 || by["100"]%2 != 0 {
				t.Errorf("%s: letters became %v, want steps of two rows each of one setting", format, by)
			}
			if by["100"] > 0 {
				old++
			}
			if by["100"] == 2 {
				mixed++
			}
		}
		if t.Failed() {
			t.Fatalf("cut off at write %d: %q", n, blown)
		}
		w.halt()
		if blown == "" {
			if old < 4 || mixed < 2 {
				t.Errorf("%d tables have rows of the first settings, %d of both", old, mixed)
			}
			return
		}
	}
}
