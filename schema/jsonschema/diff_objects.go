package jsonschema

import (
	"slices"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// objects compares what two schemas ask of objects.
func (w *walk) objects(old, new *form) {
	w.keywords(objectKeywords[:], old, new)
	was, is := old.schema, new.schema
	w.allowances("additionalProperties", "ADDITIONAL_PROPERTIES", old, new, allowed(was.AdditionalProperties), allowed(is.AdditionalProperties))
	w.allowances("unevaluatedProperties", "UNEVALUATED_PROPERTIES", old, new, allowedBy(was.UnevaluatedProperties), allowedBy(is.UnevaluatedProperties))
	w.dependencies(old, new)
	before, now := old.look(), new.look()
	w.spend(len(before.names) + len(now.names))
	for _, name := range now.names {
		if w.full() {
			return
		}
		at := []string{"properties", name}
		property := w.form(new.docs, is.Properties[name])
		if was.Properties[name] == nil {
			w.propertyAdded(w.propertyContent(old, name), new, name)
			continue
		}
		w.below(w.form(old.docs, was.Properties[name]), property, at...)
		w.demanded(before.required[name], now.required[name], new, name)
	}
	for _, name := range before.names {
		if w.full() {
			return
		}
		if is.Properties[name] == nil {
			w.removed("PROPERTY", old.docs, was.Properties[name], w.propertyContent(new, name), "properties", name)
		}
	}
}

// propertyAdded compares a new property with what could be under its name before.
func (w *walk) propertyAdded(was content, new *form, name string) {
	at := []string{"properties", name}
	s := new.schema.Properties[name]
	property := w.form(new.docs, s)
	if was.open && w.written(new.docs, s, aspectAny) {
		w.note("PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL", nil, at...)
		return
	}
	w.added("PROPERTY", was, property, at...)
	kind := "OPTIONAL_PROPERTY"
	if new.look().required[name] {
		kind = "REQUIRED_PROPERTY"
		if w.hasDefault(new, name) {
			kind = "REQUIRED_PROPERTY_WITH_DEFAULT"
		}
	}
	if was.open {
		w.note(kind+"_ADDED_TO_OPEN_CONTENT_MODEL", nil, at...)
	} else {
		w.note(kind+"_ADDED_TO_UNOPEN_CONTENT_MODEL", nil, at...)
	}
}

// demanded compares whether a property that both sides have must be there.
func (w *walk) demanded(was, is bool, new *form, name string) {
	switch {
	case was && !is:
		w.note("REQUIRED_ATTRIBUTE_REMOVED", nil, "required", name)
	case !was && is && w.hasDefault(new, name):
		w.note("REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED", nil, "required", name)
	case !was && is:
		w.note("REQUIRED_ATTRIBUTE_ADDED", nil, "required", name)
	}
}

// hasDefault says whether the schema of a property has a default of its own, also
// one beside a $ref, where the drafts before 2019-09 do not look.
func (w *walk) hasDefault(f *form, name string) bool {
	w.spend(1 + len(f.schema.Properties)/bytesPerStep)
	s := f.schema.Properties[name]
	return s.Default != nil || textOf(f.docs, s).get("default") != nil
}

// propertyContent is the content model of an object for a name: the patterns that
// match it, else additionalProperties, else unevaluatedProperties. An object with
// patterns counts as open for no name.
func (w *walk) propertyContent(f *form, name string) content {
	var c content
	patterns := f.look().patterns
	w.spend(len(patterns) * (1 + len(name)/bytesPerStep))
	for _, p := range patterns {
		if !w.full() && p.match.MatchString(name) {
			c.covers = append(c.covers, w.form(f.docs, p.schema))
		}
	}
	if len(c.covers) > 0 {
		return c
	}
	rest := allowedBy(f.schema.UnevaluatedProperties)
	if f.schema.AdditionalProperties != nil {
		rest = allowed(f.schema.AdditionalProperties)
	}
	return w.content(f, rest, len(patterns) == 0)
}

// dependencies compares what a property demands beside itself: names or a schema.
func (w *walk) dependencies(old, new *form) {
	wasNames, wasSchemas := dependenciesOf(old.schema)
	isNames, isSchemas := dependenciesOf(new.schema)
	w.spend(len(wasNames) + len(wasSchemas) + len(isNames) + len(isSchemas))
	for _, name := range keysOf(wasNames, isNames) {
		was, had := wasNames[name]
		is, has := isNames[name]
		gone, more := missing(was, is), missing(is, was)
		var kind string
		switch {
		case !had:
			kind = "DEPENDENCY_ARRAY_ADDED"
		case !has:
			kind = "DEPENDENCY_ARRAY_REMOVED"
		case len(gone) > 0 && len(more) > 0:
			kind = "DEPENDENCY_ARRAY_CHANGED"
		case len(more) > 0:
			kind = "DEPENDENCY_ARRAY_EXTENDED"
		case len(gone) > 0:
			kind = "DEPENDENCY_ARRAY_NARROWED"
		default:
			continue
		}
		w.note(kind, needs(more), "dependencies", name)
	}
	for _, name := range keysOf(wasSchemas, isSchemas) {
		was, is := wasSchemas[name], isSchemas[name]
		switch {
		case was == nil:
			w.note("DEPENDENCY_SCHEMA_ADDED", nil, "dependencies", name)
		case is == nil:
			w.note("DEPENDENCY_SCHEMA_REMOVED", nil, "dependencies", name)
		default:
			w.below(w.form(old.docs, was), w.form(new.docs, is), "dependencies", name)
		}
	}
}

// dependenciesOf splits dependencies into those that name properties and those
// that are schemas, as the keywords of 2019-09 have it.
func dependenciesOf(s *js.Schema) (names map[string][]string, schemas map[string]*js.Schema) {
	names, schemas = map[string][]string{}, map[string]*js.Schema{}
	for name, v := range s.Dependencies {
		switch v := v.(type) {
		case []string:
			names[name] = v
		case *js.Schema:
			schemas[name] = v
		}
	}
	for name, list := range s.DependentRequired {
		names[name] = list
	}
	for name, k := range s.DependentSchemas {
		schemas[name] = k
	}
	return names, schemas
}

// keysOf lists the keys of two maps in order.
func keysOf[V any](a, b map[string]V) []string {
	var keys []string
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, both := a[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}
