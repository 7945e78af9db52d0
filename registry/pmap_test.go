package registry

import (
	"maps"
	"math/rand/v2"
	"testing"
)

// TestPmap changes copies of copies at random beside ordinary maps: each copy
// must stay as it was when the next one is changed.
func TestPmap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	type pair struct {
		got  *pmap[int, int]
		want map[int]int
	}
	list := []pair{{newPmap[int, int](), map[int]int{}}}
	for range 300 {
		from := list[random.IntN(len(list))]
		n := pair{from.got.clone(), maps.Clone(from.want)}
		for range random.IntN(20) {
			k := random.IntN(1000)
			if random.IntN(3) == 0 {
				n.got.delete(k)
				delete(n.want, k)
			} else {
				n.got.set(k, k*len(list))
				n.want[k] = k * len(list)
			}
		}
		list = append(list, n)
	}
	for i, p := range list {
		if got := maps.Collect(p.got.all()); !maps.Equal(got, p.want) || p.got.len() != len(p.want) {
			t.Fatalf("copy %d has %d entries %v, want %v", i, p.got.len(), got, p.want)
		}
		for k := range 1000 {
			if p.got.get(k) != p.want[k] {
				t.Fatalf("copy %d: key %d is %d, want %d", i, k, p.got.get(k), p.want[k])
			}
		}
	}
}

// TestLarge opens a store with so many schemas that they are read in parallel,
// and finds each where it was.
func TestLarge(t *testing.T) {
	r := open(t, large(t, 300))
	if n := len(r.Subjects("", Alive)); n != 300 || r.MaxID(DefaultContext) != 3000 {
		t.Errorf("%d subjects, ids to %d", n, r.MaxID(DefaultContext))
	}
	for _, v := range r.List("", All, false) {
		uses, err := r.Uses(v.ID, "", Alive)
		if err != nil || len(uses) != 1 || uses[0].Subject != v.Subject || uses[0].Version != v.Version {
			t.Fatalf("%s version %d: %+v, %v", v.Subject, v.Version, uses, err)
		}
		same, err := r.ByGUID(v.GUID)
		if err != nil || same[0].ID != v.ID {
			t.Fatalf("%s version %d: its GUID is of %+v, %v", v.Subject, v.Version, same, err)
		}
	}
}
