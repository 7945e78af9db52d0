package jsonschema

import (
	"slices"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// compare takes two forms through the rules of their aspects.
func (w *walk) compare(old, new *form) {
	if w.all {
		w.annotations(old, new)
	}
	switch {
	case old.aspect == aspectNone || new.aspect == aspectAny:
		// no data to read, or all of it can be
	case old.combines() && new.combines():
		w.combinations(old, new)
	case old.aspect != new.aspect:
		w.strangers(old, new)
	default:
		w.likes(old, new)
	}
}

// annotations notes what only describes.
func (w *walk) annotations(old, new *form) {
	a, b := old.schema, new.schema
	value := func(s *js.Schema) string {
		if s.Default == nil {
			return ""
		}
		return jsonOf(*s.Default)
	}
	for _, k := range []struct{ prefix, old, new string }{
		{"ID", a.ID, b.ID},
		{"TITLE", a.Title, b.Title},
		{"DESCRIPTION", a.Description, b.Description},
		{"DEFAULT", value(a), value(b)},
	} {
		if k.old != k.new {
			w.note(k.prefix+"_CHANGED", nil)
		}
	}
}

// strangers compares forms of two aspects. A combination may still take what a
// plain form takes, through one of its members.
func (w *walk) strangers(old, new *form) {
	anyFits := func(of, plain *form) bool {
		for i := range of.members {
			a, b := w.member(of, i), plain
			if of == new {
				a, b = b, a
			}
			if w.fits(a, b) {
				if w.all {
					w.below(a, b) // for what does no harm
				}
				return true
			}
			if w.full() {
				break
			}
		}
		return false
	}
	switch {
	case old.count == 1 && anyFits(old, new),
		new.count == 1 && anyFits(new, old):
		return
	case old.aspect == aspectAllOf && anyFits(old, new):
		w.note("PRODUCT_TYPE_NARROWED", nil)
	case (new.aspect == aspectAnyOf || new.aspect == aspectOneOf) && anyFits(new, old):
		w.note("SUM_TYPE_EXTENDED", nil)
	case old.isConnectBytes() && new.isConnectBytes():
		// Kafka Connect writes and reads both in its own way
	default:
		w.note("TYPE_CHANGED", func() string { return new.word() + " against " + old.word() })
	}
}

// isConnectBytes says whether Kafka Connect marked a schema as bytes.
func (f *form) isConnectBytes() bool {
	t := textOf(f.docs, f.schema).get("connect.type")
	return t != nil && t.kind == '"' && t.text == "bytes"
}

// likes compares forms of the same aspect that are no combinations.
func (w *walk) likes(old, new *form) {
	switch old.aspect {
	case aspectString:
		w.keywords(stringKeywords[:], old, new)
	case aspectNumber:
		switch {
		case old.integer && !new.integer:
			w.note("TYPE_EXTENDED", nil)
		case !old.integer && new.integer:
			w.note("TYPE_NARROWED", nil)
		}
		w.keywords(numberKeywords[:], old, new)
	case aspectArray:
		w.arrays(old, new)
	case aspectObject:
		w.objects(old, new)
	case aspectEnum:
		w.enums(old, new)
	case aspectConst:
		if was, is := jsonOf(*old.schema.Const), jsonOf(*new.schema.Const); was != is {
			w.note("ENUM_ARRAY_CHANGED", against(is, was), "const")
		}
	case aspectNot:
		w.negations(old, new)
	}
}

// negations compares what two schemas forbid. The new one may forbid less, so the
// sides change places.
func (w *walk) negations(old, new *form) {
	was, is := w.form(old.docs, old.schema.Not), w.form(new.docs, new.schema.Not)
	switch {
	case !w.fits(is, was):
		w.note("NOT_TYPE_EXTENDED", nil, "not")
	case w.all && !w.fits(was, is):
		w.note("NOT_TYPE_NARROWED", nil, "not")
	}
}

func (w *walk) enums(old, new *form) {
	was, is := old.look().values, new.look().values
	w.spend(len(was) + len(is))
	gone, more := missing(was, is), missing(is, was)
	switch {
	case len(gone) > 0 && len(more) > 0:
		w.note("ENUM_ARRAY_CHANGED", lacks(gone), "enum")
	case len(gone) > 0:
		w.note("ENUM_ARRAY_NARROWED", lacks(gone), "enum")
	case len(more) > 0:
		w.note("ENUM_ARRAY_EXTENDED", nil, "enum")
	}
}

// missing lists what is in a and not in b.
func missing(a, b []string) []string {
	in := make(map[string]bool, len(b))
	for _, s := range b {
		in[s] = true
	}
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return in[s] })
}

// What descriptions say at their end: the reader's value and the writer's.

func only(is string) func() string { return func() string { return clip(is) } }

func against(is, was string) func() string {
	return func() string { return clip(is) + " against " + clip(was) }
}

func lacks(gone []string) func() string {
	return func() string { return "without " + clip(strings.Join(gone, ", ")) }
}

func needs(names []string) func() string {
	return func() string { return clip(strings.Join(names, ", ")) }
}

func quoted(s string) string { return "'" + s + "'" }

// maxWordBytes cuts a value in a description.
const maxWordBytes = 60

// clip is s without line breaks, cut where it is long.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s[:min(len(s), 4*maxWordBytes)])
	if len(s) <= maxWordBytes {
		return s
	}
	return strings.ToValidUTF8(s[:maxWordBytes], "") + "..."
}
