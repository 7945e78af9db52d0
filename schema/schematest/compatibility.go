package schematest

import (
	"bufio"
	"bytes"
	"embed"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/schema"
)

// compatibility has one table of cases for each language; its README.md says how
// they are written.
//
//go:embed compatibility/*.txt
var compatibility embed.FS

// Change is a case of the tables: two versions of a schema and everything that
// differs between them.
type Change struct {
	Name     string
	Old, New schema.Source
	// Backward is what is found when the new version reads data of the old one,
	// Forward when the old version reads data of the new one. In no order.
	Backward, Forward []Difference
}

// Difference is what a case expects, by the names of Confluent's registry.
type Difference struct {
	Type, Path string
	// Breaks says that it keeps data from being read; with Lenient, not under
	// the policy LENIENT.
	Breaks, Lenient bool
}

// String is the difference as the tables write it.
func (d Difference) String() string {
	mark := ""
	switch {
	case d.Lenient:
		mark = "?"
	case d.Breaks:
		mark = "!"
	}
	return mark + d.Type + " " + d.Path
}

// Changes reads the table of a language.
func Changes(t testing.TB, lang schema.Type) []Change {
	t.Helper()
	text, err := compatibility.ReadFile("compatibility/" + strings.ToLower(string(lang)) + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	var list []Change
	for s, n := bufio.NewScanner(bytes.NewReader(text)), 1; s.Scan(); n++ {
		word, rest, _ := strings.Cut(s.Text(), " ")
		if word == "==" {
			list = append(list, Change{Name: rest, Old: schema.Source{Type: lang}, New: schema.Source{Type: lang}})
			continue
		}
		if word == "" || word == "#" {
			continue
		}
		if len(list) == 0 || !list[len(list)-1].line(word, rest) {
			t.Fatalf("line %d of the cases of %s: %q", n, lang, s.Text())
		}
	}
	return list
}

// line reads one line of a case.
func (c *Change) line(word, rest string) bool {
	switch word {
	case "old":
		c.Old.Text = rest
	case "new":
		c.New.Text = rest
	case "old-with", "new-with":
		name, text, ok := strings.Cut(rest, " ")
		if !ok {
			return false
		}
		side := &c.Old
		if word == "new-with" {
			side = &c.New
		}
		side.References = append(side.References, schema.Named{Name: name, Text: text})
	case ">", "<":
		kind, path, ok := strings.Cut(rest, " ")
		d := Difference{Type: strings.TrimLeft(kind, "!?"), Path: path, Breaks: kind != strings.TrimLeft(kind, "!?"), Lenient: strings.HasPrefix(kind, "?")}
		side := &c.Backward
		if word == "<" {
			side = &c.Forward
		}
		*side = append(*side, d)
		return ok
	case "note":
	default:
		return false
	}
	return true
}

// Breaking lists those that keep data from being read under the policy STRICT, or
// LENIENT, as "TYPE path", sorted.
func Breaking(list []Difference, lenient bool) []string {
	var out []string
	for _, d := range list {
		if d.Breaks && !(lenient && d.Lenient) {
			out = append(out, d.Type+" "+d.Path)
		}
	}
	slices.Sort(out)
	return out
}

// minChanges is how many cases each language has at the least.
const minChanges = 150

// RunChanges holds a language to its table, in both directions. all, which may be
// nil, lists every difference of two schemas as Difference.String writes it, those
// included that do no harm.
func RunChanges(t *testing.T, lang schema.Type, parse func(schema.Source) (schema.Schema, error), all func(old, new schema.Schema) []string) {
	cases := Changes(t, lang)
	if len(cases) < minChanges {
		t.Errorf("%d cases, want %d", len(cases), minChanges)
	}
	names := map[string]bool{}
	for _, c := range cases {
		if names[c.Name] {
			t.Errorf("two cases are named %q", c.Name)
		}
		names[c.Name] = true
		t.Run(c.Name, func(t *testing.T) {
			old, err := parse(c.Old)
			if err != nil {
				t.Fatalf("old: %v", err)
			}
			new, err := parse(c.New)
			if err != nil {
				t.Fatalf("new: %v", err)
			}
			checkChange(t, "new reads old", old, new, c.Backward, all)
			checkChange(t, "old reads new", new, old, c.Forward, all)
		})
	}
}

// lenient is a schema that can be read under the policy LENIENT.
type lenient interface {
	ReadsLenient(writer schema.Schema) []schema.Incompatibility
}

func checkChange(t *testing.T, what string, old, new schema.Schema, want []Difference, all func(old, new schema.Schema) []string) {
	t.Helper()
	var reads []string
	for _, d := range new.Reads(old) {
		reads = append(reads, d.Type+" "+d.Path)
		if text := d.Describe("NEW", "OLD"); strings.Contains(text, "%") || text == "" {
			t.Errorf("%s: description %q of %s", what, text, d.Type)
		}
	}
	if slices.Sort(reads); !slices.Equal(reads, Breaking(want, false)) {
		t.Errorf("%s:\n got %q\nwant %q", what, reads, Breaking(want, false))
	}
	if l, ok := new.(lenient); ok {
		reads = nil
		for _, d := range l.ReadsLenient(old) {
			reads = append(reads, d.Type+" "+d.Path)
		}
		if slices.Sort(reads); !slices.Equal(reads, Breaking(want, true)) {
			t.Errorf("%s, LENIENT:\n got %q\nwant %q", what, reads, Breaking(want, true))
		}
	}
	if all == nil {
		return
	}
	var texts []string
	for _, d := range want {
		// A type that breaks here may be judged otherwise at another place.
		texts = append(texts, strings.Replace(fmt.Sprint(d), "?", "!", 1))
	}
	got := all(old, new)
	for i, d := range got {
		got[i] = strings.Replace(d, "?", "!", 1)
	}
	slices.Sort(texts)
	if slices.Sort(got); !slices.Equal(got, texts) {
		t.Errorf("%s, all differences:\n got %q\nwant %q", what, got, texts)
	}
}
