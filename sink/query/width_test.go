package query

import (
	"strings"
	"testing"
)

// TestWidth counts columns of a terminal.
func TestWidth(t *testing.T) {
	for text, want := range map[string]int{"": 0, "abc": 3, "Zoë": 3, "Zoe\u0308": 3, "日本": 4, "한a": 3, "ｱ": 1, "Ａ": 2, "🙂": 2, "…": 1} {
		if got := Width(text); got != want {
			t.Errorf("%q: %d columns, want %d", text, got, want)
		}
	}
}

// TestWideText keeps columns in line behind wide characters.
func TestWideText(t *testing.T) {
	r := &Result{Columns: []Column{{Name: "市"}, {Name: "n"}}, Rows: [][]any{{"東京", "a"}, {"Rome", "b"}}}
	var out strings.Builder
	if err := r.writeText(&out); err != nil {
		t.Fatal(err)
	}
	const want = "市    n\n----  -\n東京  a\nRome  b\n(2 rows)\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
