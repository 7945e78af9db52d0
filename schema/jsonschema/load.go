package jsonschema

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tarn-io/tarn/schema"
)

// rootURL is where a schema without $id stands. Relative references resolve
// against it; nothing is ever loaded from it.
const rootURL = "mem:///schema.json"

// docs holds the texts of one Source by the URLs under which references find
// them. It is the library's loader: what it does not know does not exist, so
// neither disk nor network is ever asked.
type docs struct {
	root  *tree
	byURL map[string]*tree
	names []string // of the references
	trees []*tree
}

// newDocs reads all texts. Each reference is found under its name, resolved
// against the root's $id as Confluent does, and under its own $id; find has one
// more way.
func newDocs(src schema.Source) (*docs, error) {
	size := len(src.Text)
	for _, r := range src.References {
		size += len(r.Text)
	}
	if size > schema.MaxTextBytes {
		return nil, &schema.ParseError{Msg: fmt.Sprintf("the schema and its references have %d bytes, more than %d", size, schema.MaxTextBytes)}
	}
	root, err := parseTree(src.Text, src.Lax)
	if err != nil {
		return nil, err
	}
	d := &docs{root: root, byURL: map[string]*tree{}}
	objects := root.objects()
	for _, r := range src.References {
		// References are stored already, so they were checked when they were new.
		t, err := parseTree(r.Text, true)
		if err != nil {
			return nil, fmt.Errorf("reference %q: %w", r.Name, err)
		}
		if objects += t.objects(); objects > maxObjects {
			return nil, &schema.ParseError{Msg: fmt.Sprintf("the schema and its references have more than %d objects", maxObjects)}
		}
		d.names = append(d.names, r.Name)
		d.trees = append(d.trees, t)
	}
	for i, t := range d.trees {
		for _, base := range []string{rootURL, d.base(root)} {
			if u := resolve(base, d.names[i]); u != "" && d.byURL[u] == nil {
				d.byURL[u] = t
			}
		}
	}
	for _, t := range d.trees {
		if u := d.base(t); u != rootURL && d.byURL[u] == nil {
			d.byURL[u] = t
		}
	}
	d.byURL[rootURL] = root
	if u := d.base(root); d.byURL[u] == nil {
		d.byURL[u] = root
	}
	return d, nil
}

// base is the URL that a text gives itself by $id (id in draft 4).
func (d *docs) base(t *tree) string {
	for _, key := range []string{"$id", "id"} {
		if id := t.get(key); id != nil && id.kind == '"' {
			if u := resolve(rootURL, id.text); u != "" {
				return u
			}
		}
	}
	return rootURL
}

// resolve is ref against base, without a fragment; "" if either is no URL.
func resolve(base, ref string) string {
	b, err := url.Parse(base)
	if err != nil {
		return ""
	}
	r, err := url.Parse(ref)
	if err != nil {
		return ""
	}
	u := b.ResolveReference(r)
	if !r.IsAbs() && b.Opaque != "" {
		u.Opaque = b.Opaque
	}
	u.Fragment, u.RawFragment = "", ""
	return u.String()
}

// errUnknownReference is the loader's answer for every URL that no reference has.
var errUnknownReference = errors.New("it is not among the schema's references")

// Load gives the library the text at a URL.
func (d *docs) Load(u string) (any, error) {
	t := d.find(u)
	if t == nil {
		return nil, errUnknownReference
	}
	doc := t.any()
	if m, ok := doc.(map[string]any); ok {
		// An unknown dialect is read as the default one, as Confluent does.
		if dialect, ok := m["$schema"].(string); ok && draftOf(dialect) == nil && d.find(resolve(rootURL, dialect)) == nil {
			delete(m, "$schema")
		}
	}
	return doc, nil
}

// find looks a URL up, then, since a $ref may stand in another reference or below
// a nested $id, by the longest reference name that the URL ends with.
func (d *docs) find(u string) *tree {
	if t := d.byURL[u]; t != nil {
		return t
	}
	best := -1
	for i, name := range d.names {
		if strings.HasSuffix(u, "/"+strings.TrimLeft(name, "./")) && (best < 0 || len(name) > len(d.names[best])) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	return d.trees[best]
}

// named is the name of the reference whose text is at a URL, "" for the schema's
// own text.
func (d *docs) named(u string) string {
	if i := slices.Index(d.trees, d.find(u)); i >= 0 {
		return d.names[i]
	}
	return ""
}

// order is the place of each property in the text of the schema at location, a
// URL with a JSON pointer as its fragment. Properties that are not in the text
// (a meta-schema's) come back in order of their names.
func (d *docs) order(s *js.Schema) []string {
	names := make([]string, 0, len(s.Properties))
	u, pointer, _ := strings.Cut(s.Location, "#")
	pointer, err := url.PathUnescape(pointer)
	if t := d.find(u); t != nil && err == nil {
		if props := t.at(pointer).get("properties"); props != nil && len(props.keys) == len(s.Properties) {
			return props.keys
		}
	}
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// draftOf is the dialect that a $schema names, nil for one we do not know.
func draftOf(dialect string) *js.Draft {
	dialect = strings.TrimRight(dialect, "#")
	dialect = strings.TrimPrefix(strings.TrimPrefix(dialect, "https"), "http")
	switch dialect {
	case "://json-schema.org/draft-04/schema":
		return js.Draft4
	case "://json-schema.org/draft-06/schema":
		return js.Draft6
	case "://json-schema.org/draft-07/schema":
		return js.Draft7
	case "://json-schema.org/draft/2019-09/schema":
		return js.Draft2019
	case "://json-schema.org/draft/2020-12/schema":
		return js.Draft2020
	}
	return nil
}

// compile has the library check and compile the root text.
func (d *docs) compile() (*js.Schema, error) {
	c := js.NewCompiler()
	c.DefaultDraft(js.Draft7)
	if dialect := d.root.get("$schema"); dialect != nil && draftOf(dialect.text) != nil {
		c.DefaultDraft(draftOf(dialect.text)) // references that do not say follow the root
	}
	c.AssertFormat()
	c.UseLoader(d)
	c.UseRegexpEngine((&patterns{known: map[string]js.Regexp{}}).compile)
	for _, f := range []format{formatDateTime, formatDate, formatTime, formatUUID} {
		c.RegisterFormat(&js.Format{Name: f.name(), Validate: f.check})
	}
	s, err := c.Compile(rootURL)
	if err != nil {
		return nil, d.parseError(err)
	}
	amend(s, map[*js.Schema]bool{})
	return s, nil
}

// parseError puts the library's words for a bad schema into ours: where, as a
// JSON pointer, and what.
func (d *docs) parseError(err error) error {
	var missing *js.LoadURLError
	if errors.As(err, &missing) {
		return &schema.ParseError{Msg: fmt.Sprintf("$ref %q leads nowhere: %v", strings.TrimPrefix(missing.URL, "mem:///"), missing.Err)}
	}
	var invalid *js.SchemaValidationError
	if !errors.As(err, &invalid) {
		return &schema.ParseError{Msg: strings.ReplaceAll(err.Error(), rootURL, "")}
	}
	var verr *js.ValidationError
	if !errors.As(invalid.Err, &verr) {
		return &schema.ParseError{Msg: invalid.Err.Error()}
	}
	path, msg := leaf(verr)
	where := "#"
	for _, token := range path {
		where += "/" + escapePointer(token)
	}
	if u, _, _ := strings.Cut(invalid.URL, "#"); u != rootURL {
		where = u + where
	}
	return &schema.ParseError{Msg: fmt.Sprintf("%s: %s", where, msg)}
}

// escapePointer writes a token of a JSON pointer (RFC 6901 §3).
func escapePointer(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1")
}

// leaf is the deepest cause of a validation error and its place in the value.
func leaf(e *js.ValidationError) (path []string, msg string) {
	best := e
	var walk func(e *js.ValidationError)
	walk = func(e *js.ValidationError) {
		if len(e.Causes) == 0 {
			if len(best.Causes) > 0 || len(e.InstanceLocation) > len(best.InstanceLocation) {
				best = e
			}
			return
		}
		for _, c := range e.Causes {
			walk(c)
		}
	}
	walk(e)
	bare := *best
	bare.Causes = nil
	msg = bare.Error()
	if _, rest, ok := strings.Cut(msg, "': "); ok {
		msg = rest
	}
	return best.InstanceLocation, msg
}

// amend changes a compiled schema, which nobody else holds yet, where the library
// checks more than we want: it drops the formats that we do not assert and,
// before 2019-09, what stands beside a $ref and must be ignored there.
func amend(s *js.Schema, seen map[*js.Schema]bool) {
	if s == nil || seen[s] {
		return
	}
	seen[s] = true
	if s.Format != nil && formatOf(s.Format.Name) == noFormat {
		s.Format = nil
	}
	if s.DraftVersion < 2019 && s.Ref != nil {
		s.Const, s.Contains, s.PropertyNames = nil, nil, nil
		s.If, s.Then, s.Else = nil, nil, nil
	}
	for _, k := range kids(s) {
		amend(k, seen)
	}
}

// kids are the schemas right below one, wherever they stand in it.
func kids(s *js.Schema) []*js.Schema {
	all := []*js.Schema{s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else, s.PropertyNames,
		s.UnevaluatedProperties, s.Contains, s.Items2020, s.UnevaluatedItems, s.ContentSchema}
	if s.DynamicRef != nil {
		all = append(all, s.DynamicRef.Ref)
	}
	for _, list := range [][]*js.Schema{s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems} {
		all = append(all, list...)
	}
	for _, k := range s.Properties {
		all = append(all, k)
	}
	for _, k := range s.PatternProperties {
		all = append(all, k)
	}
	for _, k := range s.DependentSchemas {
		all = append(all, k)
	}
	for _, v := range s.Dependencies {
		if k, ok := v.(*js.Schema); ok {
			all = append(all, k)
		}
	}
	for _, v := range []any{s.AdditionalProperties, s.AdditionalItems, s.Items} {
		switch v := v.(type) {
		case *js.Schema:
			all = append(all, v)
		case []*js.Schema:
			all = append(all, v...)
		}
	}
	return slices.DeleteFunc(all, func(k *js.Schema) bool { return k == nil })
}
