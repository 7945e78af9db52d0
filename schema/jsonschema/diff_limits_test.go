package jsonschema

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/schema"
)

// ring is a schema whose n definitions refer to one another in a circle.
func ring(n int, end string) string {
	var defs []string
	for i := range n {
		defs = append(defs, fmt.Sprintf(`"d%d":{"type":"object","properties":{"next":{"$ref":"#/definitions/d%d"}}}`, i, (i+1)%n))
	}
	return fmt.Sprintf(`{"type":"object","properties":{"ring":{"$ref":"#/definitions/d0"},"end":{"type":%q}},"definitions":{%s}}`, end, strings.Join(defs, ","))
}

// TestRings: rings of lengths without a common divisor make every pair of their
// definitions come up, each inside the one before.
func TestRings(t *testing.T) {
	if list := mustParse(t, ring(31, "string")).Reads(mustParse(t, ring(29, "string"))); len(list) != 0 {
		t.Errorf("got %v", list)
	}
	if list := mustParse(t, ring(31, "string")).Reads(mustParse(t, ring(29, "null"))); len(list) != 1 || list[0].Path != "#/properties/end" {
		t.Errorf("got %v, want the difference beside the ring", list)
	}
	list := mustParse(t, ring(251, "string")).Reads(mustParse(t, ring(241, "string")))
	if len(list) != 1 || list[0].Type != tooLarge {
		t.Fatalf("got %v, want %s", list, tooLarge)
	}
	if got := list[0].Describe("new", "old"); !strings.Contains(got, "new schema") || !strings.Contains(got, "old schema") {
		t.Errorf("got %q", got)
	}
}

// entangled is a schema of n members that all refer to all, in two ways.
func entangled(n int, last string) string {
	var refs, defs []string
	for i := range n {
		refs = append(refs, fmt.Sprintf(`{"$ref":"#/definitions/d%d"}`, i))
	}
	union := `{"anyOf":[` + strings.Join(refs, ",") + `]}`
	for i := range n {
		defs = append(defs, fmt.Sprintf(`"d%d":{"type":"object","properties":{"a":%s,"b":{"not":%s},"z":{"type":"object","properties":{"k":{"const":%d},"l":{"type":%q}}}}}`, i, union, union, i, last))
	}
	return `{"type":"object","properties":{"p":` + union + `},"definitions":{` + strings.Join(defs, ",") + `}}`
}

// TestEntangled: each member differs, deep inside: every pair must be tried, and
// again after each round.
func TestEntangled(t *testing.T) {
	old, new := mustParse(t, entangled(20, "string")), mustParse(t, entangled(20, "null"))
	if list := new.Reads(old); len(list) != 1 || list[0].Type != "COMBINED_TYPE_SUBSCHEMAS_CHANGED" {
		t.Errorf("got %v", list)
	}
	c := newComparison(false)
	c.work = maxWork - 1000
	if list := c.list(c.form(old.docs, old.compiled), c.form(new.docs, new.compiled), false); len(list) != 0 || !c.spent {
		t.Errorf("got %v without work left, want it given up", list)
	}
	same := mustParse(t, entangled(20, "string"))
	same.canonical = ""
	if list := same.Reads(old); len(list) != 0 {
		t.Errorf("does not read its like: %v", list)
	}
}

// TestShuffledMembers: members that changed places find one another at once.
func TestShuffledMembers(t *testing.T) {
	text := func(shift int, last string) string {
		var list []string
		for i := range 1000 {
			list = append(list, fmt.Sprintf(`{"properties":{"kind":{"const":%d}}}`, (i+shift)%1000))
		}
		return `{"oneOf":[` + strings.Join(list, ",") + last + `]}`
	}
	old := mustParse(t, text(0, ""))
	if list := mustParse(t, text(400, "")).Reads(old); len(list) != 0 {
		t.Errorf("got %v", list)
	}
	if list := mustParse(t, text(400, `,{"type":"null"}`)).Reads(old); len(list) != 0 {
		t.Errorf("got %v", list)
	}
	if list := old.Reads(mustParse(t, text(400, `,{"type":"null"}`))); len(list) != 1 || list[0].Type != "SUM_TYPE_NARROWED" {
		t.Errorf("got %v", list)
	}
}

// TestMatching: a member that takes the partner of another must make way.
func TestMatching(t *testing.T) {
	member := func(max int) string { return fmt.Sprintf(`{"type":"string","maxLength":%d}`, max) }
	union := func(list ...string) string { return `{"oneOf":[` + strings.Join(list, ",") + `]}` }
	for _, c := range []struct {
		old, new string
		want     int
	}{
		{union(member(1), member(2), member(3)), union(member(3), member(2), member(1)), 0},
		{union(member(1), member(2), member(3)), union(member(3), member(4), member(2)), 0},
		{union(member(1), member(2), member(3)), union(member(1), member(1), member(9)), 2}, // two after removing duplicates
		{union(member(1), member(2), member(3)), union(member(2), member(9), member(1)), 0},
		{union(member(1), member(3)), union(member(3), member(2)), 0}, // the first takes what the second needs
		{union(member(2), member(3)), union(member(2), member(1), member(4)), 0},
		{union(member(4), member(5)), union(member(2), member(1), member(4)), 1},
	} {
		if list := mustParse(t, c.new).Reads(mustParse(t, c.old)); len(list) > 0 != (c.want > 0) {
			t.Errorf("%s to %s: got %v", c.old, c.new, list)
		}
	}
}

// TestLongTexts: names, patterns and values of any size end up cut in descriptions,
// and many differences in a list that ends.
func TestLongTexts(t *testing.T) {
	long := strings.Repeat("€%s\\n", 5000)
	old := fmt.Sprintf(`{"type":"object","properties":{"%s":{"type":"string","pattern":"%s"},"b":{"enum":["%s"]}}}`, long, long, long)
	list := mustParse(t, strings.ReplaceAll(old, `s\n"`, `s"`)).Reads(mustParse(t, old))
	if len(list) == 0 {
		t.Fatal("no differences")
	}
	for _, x := range list {
		text := x.Describe("new", "old")
		if len(text) > maxPathBytes+500 || strings.ContainsAny(text, "\n\r") || !strings.HasPrefix(text, "the new schema") || strings.Contains(text, "the %s") {
			t.Errorf("got %d bytes: %.300q", len(text), text)
		}
	}
	var was, is []string
	for i := range 2 * maxDifferences {
		was = append(was, fmt.Sprintf(`"p%d":{"type":"string"}`, i))
		is = append(is, fmt.Sprintf(`"p%d":{"type":"null"}`, i))
	}
	list = mustParse(t, `{"properties":{`+strings.Join(is, ",")+`}}`).Reads(mustParse(t, `{"properties":{`+strings.Join(was, ",")+`}}`))
	if len(list) != maxDifferences {
		t.Errorf("got %d differences, want %d", len(list), maxDifferences)
	}
	if list[1].Path != "#/properties/p1" {
		t.Errorf("got %s second, want the order of the text", list[1].Path)
	}
}

// FuzzReads: any two schemas can be compared, and each reads its like.
func FuzzReads(f *testing.F) {
	for _, c := range changes {
		f.Add(c.old, c.new)
	}
	f.Add(ring(3, "string"), ring(2, "null"))
	f.Add(entangled(3, "string"), entangled(2, "null"))
	f.Fuzz(func(t *testing.T, a, b string) {
		old, err := Parse(schema.Source{Text: a})
		if err != nil {
			return
		}
		new, err := Parse(schema.Source{Text: b})
		if err != nil {
			return
		}
		strict, lenient := new.Reads(old), new.(*Schema).ReadsLenient(old)
		if len(strict) == 0 && len(lenient) > 0 {
			t.Fatalf("only LENIENT refuses: %v", lenient)
		}
		for _, x := range strict {
			if text := x.Describe("new", "old"); !strings.HasPrefix(text, "the new schema ") || !strings.HasPrefix(x.Path, "#/") {
				t.Fatalf("%s: %q", x.Path, text)
			}
		}
		like, err := Parse(schema.Source{Text: a})
		if err != nil {
			t.Fatal(err)
		}
		like.(*Schema).canonical = ""
		if list := like.Reads(old); len(list) > 0 && list[0].Type != tooLarge {
			t.Fatalf("does not read its like: %v", list)
		}
	})
}
