package set

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// number is a key; tens are its group.
type number int

func (n number) Compare(m number) int { return cmp.Compare(n, m) }

// TestAgainstMaps does with random sets what maps would.
func TestAgainstMaps(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func() ([]number, map[number]bool) {
		var list []number
		all := map[number]bool{}
		for range r.IntN(12) {
			k := number(r.IntN(40))
			list, all[k] = append(list, k), true
		}
		return New(list), all
	}
	for range 2000 {
		a, inA := random()
		b, inB := random()
		both, rest := Split(a, b)
		union := Union(a, b)
		for _, s := range [][]number{a, b, both, rest, union} {
			if !slices.IsSorted(s) || len(slices.Compact(slices.Clone(s))) != len(s) {
				t.Fatalf("%v is no set", s)
			}
		}
		for k := range number(40) {
			for _, c := range []struct {
				what string
				got  bool
				want bool
			}{
				{"new", Has(a, k), inA[k]}, {"both", Has(both, k), inA[k] && inB[k]},
				{"rest", Has(rest, k), inA[k] && !inB[k]}, {"union", Has(union, k), inA[k] || inB[k]},
			} {
				if c.got != c.want {
					t.Fatalf("%v, %v: %s has %d: %v", a, b, c.what, k, c.got)
				}
			}
		}
		var joined []number
		last := number(-1)
		for run := range Runs(a, func(x, y number) bool { return x/10 == y/10 }) {
			if len(run) == 0 || run[0]/10 == last || run[0]/10 != run[len(run)-1]/10 {
				t.Fatalf("%v has run %v after tens of %d", a, run, last)
			}
			last, joined = run[0]/10, append(joined, run...)
		}
		if !slices.Equal(joined, a) {
			t.Fatalf("runs of %v are %v", a, joined)
		}
	}
}
