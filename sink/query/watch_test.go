package query

import (
	"math"
	"strings"
	"testing"
)

// TestValueBytes divides memory by the expressions of a statement.
func TestValueBytes(t *testing.T) {
	for _, c := range []struct {
		sql  string
		want int
	}{
		{"select 1", maxValueBytes},
		{"select " + strings.Repeat("hex(a), ", 15) + "a from orders", maxValueBytes},
		{"select " + strings.Repeat("hex(a), ", 999) + "hex(a) from orders", maxStatementBytes / 2000},
		{"select a" + strings.Repeat(" || a", 150) + " from orders", maxStatementBytes / 301},
		{"select ',((((,,,,((((,,,,((((,,,,((((,,,,' -- ,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,", maxValueBytes},
	} {
		st, err := parse(c.sql)
		if err != nil {
			t.Fatal(err)
		}
		if got := st.valueBytes(); got != c.want {
			t.Errorf("%.60s: got %d, want %d", c.sql, got, c.want)
		}
	}
}

// TestMemoryBound follows the heap's limit.
func TestMemoryBound(t *testing.T) {
	for heap, want := range map[int64]int64{math.MaxInt64: maxMemory, 200 << 20: minMemory, 800 << 20: 100 << 20, 16 << 30: maxMemory} {
		if got := memoryBound(heap); got != want {
			t.Errorf("a heap of %d: got %d, want %d", heap, got, want)
		}
	}
}

// TestAnonymous reads what Linux says of a process.
func TestAnonymous(t *testing.T) {
	for status, want := range map[string]int64{
		"Name:\ttarn\nVmRSS:\t  99 kB\nRssAnon:\t   12 kB\nRssFile:\t 5 kB\n": 12 << 10,
		"Name:\ttarn\n": 0, "\nRssAnon:": 0, "\nRssAnon: x kB\n": 0, "\nRssAnon: 1 MB\n": 0, "": 0,
	} {
		if got := anonymous([]byte(status)); got != want {
			t.Errorf("%q: got %d, want %d", status, got, want)
		}
	}
}
