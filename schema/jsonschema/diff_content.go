package jsonschema

import js "github.com/santhosh-tekuri/jsonschema/v6"

// allowance is what additionalProperties and its like say about what no other
// keyword names: all of it, none of it, or what fits a schema.
type allowance struct {
	none   bool
	schema *js.Schema // nil: all or none
}

// allowed reads additionalProperties or additionalItems: nil, a bool, or a schema,
// which {} is too.
func allowed(v any) allowance {
	switch v := v.(type) {
	case bool:
		return allowance{none: !v}
	case *js.Schema:
		return allowance{schema: v}
	}
	return allowance{}
}

// allowedBy reads the unevaluated keywords, and items of 2020-12, where {} is true.
func allowedBy(s *js.Schema) allowance {
	switch {
	case s == nil || s.Bool != nil && *s.Bool:
		return allowance{}
	case s.Bool != nil:
		return allowance{none: true}
	}
	return allowance{schema: s}
}

// allowances compares such a keyword on both sides.
func (w *walk) allowances(keyword, prefix string, old, new *form, was, is allowance) {
	switch {
	case was == is:
	case was.none:
		w.note(prefix+"_ADDED", nil, keyword)
	case is.none:
		w.note(prefix+"_REMOVED", nil, keyword)
	case was.schema == nil:
		w.note(prefix+"_NARROWED", nil, keyword)
	case is.schema == nil:
		w.note(prefix+"_EXTENDED", nil, keyword)
	default:
		w.below(w.form(old.docs, was.schema), w.form(new.docs, is.schema), keyword)
	}
}

// content is the content model of an object for one property, or of an array for
// one place, that it has no schema for: what may stand there. It is open where
// anything may. Else covers are the schemas that hold there; where there are none,
// it is closed.
type content struct {
	open   bool
	covers []*form
}

// content is what an allowance means where no pattern matches.
func (w *walk) content(f *form, rest allowance, mayBeOpen bool) content {
	if rest.schema != nil {
		return content{covers: []*form{w.form(f.docs, rest.schema)}}
	}
	return content{open: mayBeOpen && !rest.none}
}

// removed compares a property or item that the new schema no longer has with what
// may stand in its place.
func (w *walk) removed(what string, d *docs, s *js.Schema, is content, at ...string) {
	old := w.form(d, s)
	switch {
	case is.open:
		w.note(what+"_REMOVED_FROM_OPEN_CONTENT_MODEL", nil, at...)
	case len(is.covers) > 0:
		ok := true
		for _, cover := range is.covers { // all of them hold
			ok = w.below(old, cover, at...) && ok
		}
		w.covered(what+"_REMOVED", ok, at...)
	case w.written(d, s, aspectNone):
		w.note(what+"_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL", nil, at...)
	default:
		w.note(what+"_REMOVED_FROM_CLOSED_CONTENT_MODEL", nil, at...)
	}
}

// added compares a property or item that the old schema does not have with what
// could stand in its place there, if the old schema was not open.
func (w *walk) added(what string, was content, new *form, at ...string) {
	if len(was.covers) == 0 {
		return
	}
	cover := was.covers[0]
	for _, k := range was.covers { // all of them held, so one that fits is enough
		if w.fits(k, new) {
			cover = k
			break
		}
	}
	w.covered(what+"_ADDED", w.below(cover, new, at...), at...)
}

func (w *walk) covered(prefix string, ok bool, at ...string) {
	if ok {
		w.note(prefix+"_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", nil, at...)
	} else {
		w.note(prefix+"_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", nil, at...)
	}
}
