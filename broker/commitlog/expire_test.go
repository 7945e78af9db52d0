package commitlog

import (
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

func TestExpired(t *testing.T) {
	l, _ := start(t, memory.New(), nil)
	var size int64
	for _, ms := range []int64{100, 300, 200, 400} { // one batch of two records each
		b := record.NewBuilder(options{})
		b.Append(ms-10, nil, []byte("x"))
		b.Append(ms, nil, []byte("y"))
		raw, err := b.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		h, err := record.ParseHeader(raw)
		if err != nil {
			t.Fatal(err)
		}
		size = int64(len(raw))
		mustPut(t, l, Batch{TP: tp0, Bytes: raw, Header: h})
	}
	g, err := l.Log(t.Context(), tp0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name               string
		beforeMs, maxBytes int64
		want               int64
	}{
		{"no limits", -1, -1, 0},
		{"nothing is that old", 100, -1, 0},
		{"the first batch", 101, -1, 2},
		{"a newer batch holds an older one behind it", 250, -1, 2},
		{"all", 1000, -1, 8},
		{"by size", -1, 2 * size, 4},
		{"a batch more than fits stays", -1, 2*size + 1, 2},
		{"by size, all", -1, 0, 8},
		{"whichever takes more", 101, 2 * size, 4},
	} {
		got, _, err := g.Expired(t.Context(), Limits{BeforeMs: c.beforeMs, MaxBytes: c.maxBytes})
		if err != nil || got != c.want {
			t.Errorf("%s: got %d, %v; want %d", c.name, got, err, c.want)
		}
	}
}

// TestExpiredWithoutTime lets records without a timestamp go by their place.
func TestExpiredWithoutTime(t *testing.T) {
	l, _ := start(t, memory.New(), nil)
	var size int64
	for _, ms := range []int64{-1, -1, 100, -1, 400, -1} { // one batch of one record each
		b := record.NewBuilder(options{})
		b.Append(ms, nil, []byte("x"))
		raw, err := b.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		h, err := record.ParseHeader(raw)
		if err != nil {
			t.Fatal(err)
		}
		size = int64(len(raw))
		mustPut(t, l, Batch{TP: tp0, Bytes: raw, Header: h})
	}
	g, err := l.Log(t.Context(), tp0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		lim     Limits
		want    int64
		untimed bool
	}{
		{"no limits", Limits{-1, -1, 6}, 0, false},
		{"nothing is that old", Limits{50, -1, 0}, 0, true},
		{"the first was seen then", Limits{50, -1, 1}, 1, true},
		{"both were", Limits{50, -1, 2}, 2, false},
		{"an old one lies behind them", Limits{101, -1, 0}, 3, true},
		{"and one that was seen", Limits{101, -1, 4}, 4, false},
		{"the last has no other to tell", Limits{1000, -1, 0}, 5, true},
		{"it was seen", Limits{1000, -1, 6}, 6, false},
		{"by size", Limits{50, 2 * size, 0}, 4, false},
	} {
		got, untimed, err := g.Expired(t.Context(), c.lim)
		if err != nil || got != c.want || untimed != c.untimed {
			t.Errorf("%s: got %d, %v, %v; want %d, %v", c.name, got, untimed, err, c.want, c.untimed)
		}
	}
}
