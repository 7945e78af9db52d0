package maintenance_test

import (
	"math/rand/v2"
	"testing"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/maintenance"
)

const target = 64 << 20

// TestPlanBounds plays tables that get files of all kinds of sizes, and looks
// that the bound holds after every look, that nothing is rewritten too often,
// and that no group is larger than the target.
func TestPlanBounds(t *testing.T) {
	for name, size := range map[string]func(r *rand.Rand, i int) int64{
		"small":   func(*rand.Rand, int) int64 { return 4 << 10 },
		"mean":    func(*rand.Rand, int) int64 { return 1 << 20 },
		"large":   func(*rand.Rand, int) int64 { return 20 << 20 },
		"any":     func(r *rand.Rand, _ int) int64 { return 1 << r.IntN(26) },
		"changes": func(_ *rand.Rand, i int) int64 { return []int64{1 << 10, 1 << 20, 3 << 10, 30 << 20}[i/7%4] },
		"whole":   func(r *rand.Rand, _ int) int64 { return int64(r.IntN(90 << 20)) },
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			var files []tables.LiveFile
			var written, rewritten int64
			for i := range 5000 {
				f := tables.LiveFile{Key: string(rune('a' + i)), Size: size(r, i), Rows: 1}
				files, written = append(files, f), written+f.Size
				if i%10 != 9 {
					continue
				}
				for {
					groups := maintenance.Plan(files, target, false)
					if len(groups) == 0 {
						break
					}
					for _, g := range groups {
						files = merge(t, files, g)
						rewritten += files[len(files)-1].Size
					}
				}
				small := 0
				for _, f := range files {
					if f.Size < target/2 {
						small++
					}
				}
				if small > maintenance.MaxFiles(target) {
					t.Fatalf("%d small files after %d, want %d at most", small, i, maintenance.MaxFiles(target))
				}
			}
			if most := written * int64(maintenance.Levels(target)+2); rewritten > most {
				t.Errorf("%d bytes rewritten for %d, want %d at most", rewritten, written, most)
			}
			t.Logf("%d files at the end, each byte rewritten %.1f times", len(files), float64(rewritten)/float64(written))
		})
	}
}

// merge plays a rewrite, and puts the new file last.
func merge(t *testing.T, files, group []tables.LiveFile) []tables.LiveFile {
	t.Helper()
	gone := map[string]bool{}
	one := tables.LiveFile{Key: group[0].Key + "+"}
	for _, f := range group {
		gone[f.Key] = true
		one.Size += f.Size
	}
	if len(group) < 2 || one.Size > target {
		t.Fatalf("a group of %d files and %d bytes", len(group), one.Size)
	}
	var out []tables.LiveFile
	for _, f := range files {
		if !gone[f.Key] {
			out = append(out, f)
		}
	}
	return append(out, one)
}

func TestPlanLeavesAlone(t *testing.T) {
	small, large := tables.LiveFile{Size: 1}, tables.LiveFile{Size: target / 2}
	foreign := tables.LiveFile{Size: 1, Deletes: true}
	repeat := func(f tables.LiveFile, n int) (out []tables.LiveFile) {
		for range n {
			out = append(out, f)
		}
		return out
	}
	for name, c := range map[string]struct {
		files []tables.LiveFile
		whole bool
		want  int // groups
	}{
		"none":                    {nil, false, 0},
		"nine":                    {repeat(small, 9), false, 0},
		"ten":                     {repeat(small, 10), false, 1},
		"two, on demand":          {repeat(small, 2), true, 1},
		"one, on demand":          {repeat(small, 1), true, 0},
		"large":                   {repeat(large, 50), false, 0},
		"large, on demand":        {repeat(large, 50), true, 0},
		"with deletes of others":  {repeat(foreign, 50), true, 0},
		"more than fit into one":  {repeat(tables.LiveFile{Size: target/2 - 1}, 10), false, 5},
		"more than one may merge": {repeat(small, 2001), true, 2},
	} {
		if got := maintenance.Plan(c.files, target, c.whole); len(got) != c.want {
			t.Errorf("%s: %d groups, want %d", name, len(got), c.want)
		}
	}
}
