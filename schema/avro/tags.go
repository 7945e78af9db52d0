package avro

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/schema"
)

// Tags lists the records and fields that have tags, in the order of the text;
// those of referenced types too.
func (s *Schema) Tags() []schema.Tagged {
	var list []schema.Tagged
	for _, r := range records(s.root, nil) {
		if tags := tagsIn(r.props); len(tags) > 0 {
			list = append(list, schema.Tagged{Path: r.fullName(), Record: true, Tags: tags})
		}
		for _, f := range r.fields {
			if tags := tagsIn(f.props); len(tags) > 0 {
				list = append(list, schema.Tagged{Path: r.fullName() + "." + f.name, Tags: tags})
			}
		}
	}
	return list
}

// Retag gives the canonical text of src with tags added and then removed. Only
// what the text itself defines can be changed. The error is a *schema.ParseError.
func Retag(src schema.Source, add, remove []schema.Tagged) (string, error) {
	p := &parser{lax: src.Lax, names: make(map[string]*typ)}
	var known []string
	for _, ref := range src.References {
		t, err := p.parse(ref.Text)
		if err != nil {
			return "", &schema.ParseError{Msg: fmt.Sprintf("reference %s: %s", ref.Name, err)}
		}
		known = append(known, t.fullName())
	}
	t, err := p.parse(src.Text)
	if err != nil {
		return "", err
	}
	own := records(t, known)
	err = schema.Retag(add, remove, func(at schema.Tagged, change func([]string) []string) bool {
		props := propsAt(own, at)
		if props != nil {
			*props = withTags(*props, change(tagsIn(*props)))
		}
		return props != nil
	})
	if err != nil {
		return "", err
	}
	return render(t, known), nil
}

// records lists the record types below t once, in order; not those in known.
func records(t *typ, known []string) []*typ {
	var list []*typ
	var walk func(*typ)
	walk = func(t *typ) {
		switch t.kind {
		case kindUnion:
			for _, b := range t.types {
				walk(b)
			}
		case kindArray, kindMap:
			walk(t.elem)
		case kindRecord:
			if slices.Contains(list, t) || slices.Contains(known, t.fullName()) {
				return
			}
			list = append(list, t)
			for _, f := range t.fields {
				walk(f.typ)
			}
		}
	}
	walk(t)
	return list
}

// propsAt finds the properties of a record or field; nil if there is none. A
// record may be named without its namespace.
func propsAt(own []*typ, at schema.Tagged) *[]member {
	path, name := strings.TrimPrefix(at.Path, "."), ""
	if !at.Record {
		i := strings.LastIndexByte(path, '.')
		if i < 0 {
			return nil
		}
		path, name = path[:i], path[i+1:]
	}
	for _, r := range own {
		if r.fullName() != path && r.name.name != path {
			continue
		}
		if at.Record {
			return &r.props
		}
		for _, f := range r.fields {
			if f.name == name {
				return &f.props
			}
		}
	}
	return nil
}

func tagsIn(props []member) []string {
	var tags []string
	for _, m := range props {
		if m.name != schema.TagsProperty || m.value.kind != jsonArray {
			continue
		}
		for _, item := range m.value.items {
			tags = append(tags, item.text)
		}
	}
	return tags
}

// withTags gives properties with other tags, in their place.
func withTags(props []member, tags []string) []member {
	v := &value{kind: jsonArray}
	for _, tag := range tags {
		v.items = append(v.items, &value{kind: jsonString, text: tag})
	}
	i := slices.IndexFunc(props, func(m member) bool { return m.name == schema.TagsProperty })
	switch {
	case i >= 0 && len(tags) == 0:
		return slices.Delete(slices.Clone(props), i, i+1)
	case i >= 0:
		props = slices.Clone(props)
		props[i].value = v
	case len(tags) > 0:
		props = append(slices.Clone(props), member{name: schema.TagsProperty, value: v})
	}
	return props
}
