package record

import (
	"encoding/binary"
	"testing"
)

// TestShortVarints holds the short ways against encoding/binary's, on all there is.
func TestShortVarints(t *testing.T) {
	for i := range 1 << 16 {
		for _, b := range [][]byte{{byte(i)}, {byte(i), byte(i >> 8)}, {byte(i), byte(i >> 8), 1}} {
			want, wantN := binary.Varint(b)
			if wantN <= 0 {
				want, wantN = 0, 0
			}
			if got, n := varint32(b); int64(got) != want || n != wantN {
				t.Fatalf("% x: got %d in %d bytes, want %d in %d", b, got, n, want, wantN)
			}
		}
	}
}
