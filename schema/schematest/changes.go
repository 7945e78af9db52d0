package schematest

import (
	"slices"
	"testing"

	"github.com/tarn-io/tarn/schema"
)

// RunDiffer checks what schema.Differ promises on the cases of a language's table:
// what breaks is what Reads lists, and the same versions have no changes.
func RunDiffer(t *testing.T, lang schema.Type, parse func(schema.Source) (schema.Schema, error)) {
	for _, c := range Changes(t, lang) {
		old, err := parse(c.Old)
		if err != nil {
			t.Fatal(err)
		}
		new, err := parse(c.New)
		if err != nil {
			t.Fatal(err)
		}
		if list := schema.Changes(new, new); len(list) > 0 {
			t.Errorf("%s: a schema differs from itself: %v", c.Name, list)
		}
		for _, side := range [][2]schema.Schema{{new, old}, {old, new}} {
			var breaks, reads []string
			list := schema.Changes(side[0], side[1])
			for _, d := range list {
				if d.Breaks {
					breaks = append(breaks, d.Type+" "+d.Path+" "+d.Description)
				} else if d.Description != "" {
					t.Errorf("%s: %s does no harm, but says %q", c.Name, d.Type, d.Description)
				}
			}
			for _, d := range side[0].Reads(side[1]) {
				reads = append(reads, d.Type+" "+d.Path+" "+d.Description)
			}
			if !slices.Equal(breaks, reads) {
				t.Errorf("%s: breaks %q, Reads says %q", c.Name, breaks, reads)
			}
		}
	}
}
