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
		got, err := g.Expired(t.Context(), c.beforeMs, c.maxBytes)
		if err != nil || got != c.want {
			t.Errorf("%s: got %d, %v; want %d", c.name, got, err, c.want)
		}
	}
}
