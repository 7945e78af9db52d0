package jsonschema

import js "github.com/santhosh-tekuri/jsonschema/v6"

// itemRules are how an array's items are described, in whatever draft: every item, or
// items by their place and then the rest.
type itemRules struct {
	every       *js.Schema
	places      []*js.Schema
	rest        allowance // additionalItems; items beside prefixItems in 2020-12
	hasRest     bool
	unevaluated allowance
}

func itemRulesOf(f *form) itemRules {
	s := f.schema
	l := itemRules{places: s.PrefixItems, unevaluated: allowedBy(s.UnevaluatedItems)}
	switch items := s.Items.(type) {
	case *js.Schema:
		l.every = items
	case []*js.Schema:
		l.places = items
		l.rest, l.hasRest = allowed(s.AdditionalItems), s.AdditionalItems != nil
	}
	if s.Items2020 != nil {
		rest := allowedBy(s.Items2020)
		if rest.schema != nil && len(l.places) == 0 {
			l.every = rest.schema
		} else {
			l.rest, l.hasRest = rest, true
		}
	}
	return l
}

// arrays compares what two schemas ask of arrays.
func (w *walk) arrays(old, new *form) {
	w.keywords(arrayKeywords[:], old, new)
	was, is := itemRulesOf(old), itemRulesOf(new)
	switch {
	case was.every != nil && is.every != nil:
		w.below(w.form(old.docs, was.every), w.form(new.docs, is.every), "items")
	case was.every != nil:
		w.note("SCHEMA_REMOVED", nil, "items")
	case is.every != nil:
		w.note("SCHEMA_ADDED", nil, "items")
	}
	w.spend(len(was.places) + len(is.places))
	for i := 0; i < max(len(was.places), len(is.places)) && !w.full(); i++ {
		at := []string{"items", itoa(i)}
		switch {
		case i >= len(is.places):
			w.removed("ITEM", old.docs, was.places[i], w.placeContent(new, is), at...)
		case i >= len(was.places):
			w.itemAdded(w.placeContent(old, was), new, is.places[i], at...)
		default:
			w.below(w.form(old.docs, was.places[i]), w.form(new.docs, is.places[i]), at...)
		}
	}
	w.allowances("additionalItems", "ADDITIONAL_ITEMS", old, new, was.rest, is.rest)
	w.allowances("unevaluatedItems", "UNEVALUATED_ITEMS", old, new, was.unevaluated, is.unevaluated)
}

func (w *walk) itemAdded(was content, new *form, item *js.Schema, at ...string) {
	added := w.form(new.docs, item)
	switch {
	case was.open && w.written(new.docs, item, aspectAny):
		w.note("ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL", nil, at...)
	case was.open:
		w.note("ITEM_ADDED_TO_OPEN_CONTENT_MODEL", nil, at...)
	case len(was.covers) == 0:
		w.note("ITEM_ADDED_TO_CLOSED_CONTENT_MODEL", nil, at...)
	}
	w.added("ITEM", was, added, at...)
}

// placeContent is the content model of an array for the places behind a tuple.
func (w *walk) placeContent(f *form, l itemRules) content {
	if l.hasRest {
		return w.content(f, l.rest, true)
	}
	return w.content(f, l.unevaluated, true)
}
