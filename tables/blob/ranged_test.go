package blob

import (
	"errors"
	"io"
	"testing"
)

// What is at hand is not fetched; the rest is, and no more than there is.
func TestRanged(t *testing.T) {
	const text = "0123456789"
	lost := errors.New("lost")
	var fetched int
	f := Ranged("k", int64(len(text)), []byte(text[:4]), func(p []byte, off int64) error {
		if fetched++; off == 9 {
			return lost
		}
		if n := copy(p, text[off:]); n < len(p) {
			t.Errorf("%d bytes asked for at %d", len(p), off)
		}
		return nil
	})
	for _, c := range []struct {
		off     int64
		n       int
		want    string
		err     error
		fetches int
	}{
		{0, 4, "0123", nil, 0}, {1, 2, "12", nil, 0}, {3, 2, "34", nil, 1}, {6, 2, "67", nil, 1},
		{8, 5, "89", io.EOF, 1}, {4, 0, "", nil, 0}, {9, 1, "", lost, 1}, {10, 1, "", io.EOF, 0},
	} {
		fetched = 0
		p := make([]byte, c.n)
		n, err := f.ReadAt(p, c.off)
		if got := string(p[:n]); got != c.want || !errors.Is(err, c.err) || fetched != c.fetches {
			t.Errorf("%d bytes at %d: got %q, %v, %d fetches, want %q, %v, %d", c.n, c.off, got, err, fetched, c.want, c.err, c.fetches)
		}
	}
	if _, err := f.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("a byte before the start was read")
	}
	if f.Size() != 10 || Whole([]byte(text)).Size() != 10 {
		t.Error("the size is wrong")
	}
}
