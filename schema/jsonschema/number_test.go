package jsonschema

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

func TestScanNumber(t *testing.T) {
	for text, end := range map[string]int{
		"0": 1, "-0": 2, "10": 2, "-1.5e+3,": 7, "1E5 ": 3, "0.0": 3, "1e0000000000000000000000000000001": 33,
		"": -1, "-": -2, "+1": -1, "01": -2, ".5": -1, "1.": -3, "1.e5": -3, "1e": -3, "1e+": -4, "-a": -2, "NaN": -1,
	} {
		_, got, ok := scanNumber([]byte(text), 0)
		if !ok {
			got = -got - 1
		}
		if got != end {
			t.Errorf("%q: got %d, want %d", text, got, end)
		}
	}
}

// randomNumber writes a number that is near the edges often.
func randomNumber(r *rand.Rand) string {
	digits := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte("0000123456789999"[r.IntN(16)])
		}
		return b.String()
	}
	s := strings.TrimLeft(digits(r.IntN(24)), "0")
	if s == "" {
		s = "0"
	}
	if r.IntN(4) == 0 {
		s = []string{"9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "9007199254740993"}[r.IntN(5)]
	}
	if r.IntN(2) == 0 {
		s += "." + digits(1+r.IntN(24))
	}
	if r.IntN(3) == 0 {
		s += fmt.Sprintf("e%d", r.IntN(60)-30)
	}
	if r.IntN(2) == 0 {
		s = "-" + s
	}
	return s
}

// TestNumbers compares all readings of random numbers with exact arithmetic.
func TestNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 20000 {
		text := randomNumber(r)
		v, end, ok := scanNumber([]byte(text), 0)
		if !ok || end != len(text) || v.tooBig() {
			t.Fatalf("%s: not read", text)
		}
		want, _ := new(big.Rat).SetString(text)

		i, integer, fits := v.int64()
		if integer != want.IsInt() {
			t.Fatalf("%s: integer: got %v", text, integer)
		}
		if integer && fits != want.Num().IsInt64() || integer && fits && want.Num().Int64() != i {
			t.Fatalf("%s: int64: got %d %v", text, i, fits)
		}
		f, ok := v.float64()
		if wantF, err := strconv.ParseFloat(text, 64); ok != (err == nil) || ok && f != wantF {
			t.Fatalf("%s: float64: got %v %v, want %v", text, f, ok, wantF)
		}
		scale := r.IntN(39)
		unscaled := new(big.Rat).Mul(want, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)))
		limit38 := new(big.Int).Exp(big.NewInt(10), big.NewInt(38), nil)
		wantOK := unscaled.IsInt() && unscaled.Num().CmpAbs(limit38) < 0
		dec, ok := v.decimal128(scale)
		if ok != wantOK || ok && dec != decimal128.FromBigInt(unscaled.Num()) {
			t.Fatalf("%s at scale %d: decimal: got %v %v, want %v %v", text, scale, dec.BigInt(), ok, unscaled.Num(), wantOK)
		}
		other := randomNumber(r)
		rat, _ := new(big.Rat).SetString(other)
		l := newLimit(rat)
		if got, want := l.compare(&v), want.Cmp(rat); got != want {
			t.Fatalf("%s against %s: got %d, want %d", text, other, got, want)
		}
		step := []string{"1", "2", "0.5", "0.01", "0.0001", "3", "10", "0.3", "1e10", "1e-20", "7.5"}[r.IntN(11)]
		rat, _ = new(big.Rat).SetString(step)
		if got, want := newLimit(rat).divides(&v), new(big.Rat).Quo(want, rat).IsInt(); got != want {
			t.Fatalf("%s a multiple of %s: got %v, want %v", text, step, got, want)
		}
	}
}
