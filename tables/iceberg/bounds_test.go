package iceberg

import (
	"bytes"
	"strings"
	"testing"

	"github.com/apache/iceberg-go"
)

func TestBounds(t *testing.T) {
	str, bin := iceberg.PrimitiveTypes.String, iceberg.PrimitiveTypes.Binary
	x16, x17 := strings.Repeat("x", 16), strings.Repeat("x", 17)
	ff := bytes.Repeat([]byte{0xff}, 17)
	top := strings.Repeat("\U0010ffff", 17)
	for _, tt := range []struct {
		typ        iceberg.Type
		v          string
		low, upper string
		none       bool // no upper bound
	}{
		{str, "short", "short", "short", false},
		{str, x16, x16, x16, false},
		{str, x17, x16, x16[:15] + "y", false},
		{str, strings.Repeat("ö", 17), strings.Repeat("ö", 16), strings.Repeat("ö", 15) + "÷", false},
		{str, x16[:15] + "\U0010ffffz", x16[:15] + "\U0010ffff", x16[:14] + "y", false},
		{str, x16[:15] + "\ud7ffz", x16[:15] + "\ud7ff", x16[:15] + "\ue000", false},
		{str, top, top[:64], "", true},
		{bin, x17, x16, x16[:15] + "y", false},
		{bin, string(ff), string(ff[:16]), "", true},
		{bin, "a" + string(ff), "a" + string(ff[:15]), "b", false},
		{iceberg.FixedTypeOf(17), x17, "", "", true},
		{iceberg.FixedTypeOf(16), x16, x16, x16, false},
		{iceberg.PrimitiveTypes.Int64, "12345678", "12345678", "12345678", false},
	} {
		low, up := lowerBound(tt.typ, []byte(tt.v)), upperBound(tt.typ, []byte(tt.v))
		if string(low) != tt.low || string(up) != tt.upper || (up == nil) != tt.none {
			t.Errorf("%s %q: [%q, %q], want [%q, %q]", tt.typ, tt.v, low, up, tt.low, tt.upper)
		}
		if low != nil && bytes.Compare(low, []byte(tt.v)) > 0 || up != nil && bytes.Compare(up, []byte(tt.v)) < 0 {
			t.Errorf("%s %q is outside [%q, %q]", tt.typ, tt.v, low, up)
		}
	}
	if lowerBound(str, nil) != nil || upperBound(str, nil) != nil {
		t.Error("a bound where there is none")
	}
}

func FuzzBounds(f *testing.F) {
	f.Add([]byte("aaaaaaaaaaaaaaaaaaaaaa"))
	f.Add(bytes.Repeat([]byte("\U0010ffff"), 20))
	f.Fuzz(func(t *testing.T, v []byte) {
		for _, typ := range []iceberg.Type{iceberg.PrimitiveTypes.String, iceberg.PrimitiveTypes.Binary} {
			if low := lowerBound(typ, v); bytes.Compare(low, v) > 0 {
				t.Errorf("%s: lower bound %q of %q", typ, low, v)
			}
			if up := upperBound(typ, v); up != nil && bytes.Compare(up, v) < 0 {
				t.Errorf("%s: upper bound %q of %q", typ, up, v)
			}
		}
	})
}
