package avro

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/schema"
)

// Types of changes that do no harm. Avro-Java has no names for them, as it lists
// only what does.
const (
	fieldAdded     = "FIELD_ADDED"
	fieldRemoved   = "FIELD_REMOVED"
	fieldRenamed   = "FIELD_RENAMED"
	typeChanged    = "TYPE_CHANGED"
	defaultChanged = "DEFAULT_CHANGED"
	symbolsChanged = "ENUM_SYMBOLS_CHANGED"
	logicalChanged = "LOGICAL_TYPE_CHANGED"
	branchAdded    = "UNION_BRANCH_ADDED"
	branchRemoved  = "UNION_BRANCH_REMOVED"
)

// Changes lists what Reads lists, and every other difference of fields, types,
// symbols, defaults and logical types. It implements schema.Differ.
func (s *Schema) Changes(writer schema.Schema) []schema.Change {
	old, ok := writer.(*Schema)
	if !ok {
		return nil
	}
	var list []schema.Change
	for _, d := range s.Reads(writer) {
		list = append(list, schema.Change{Incompatibility: d, Field: s.fieldAt(d.Path), Breaks: true})
	}
	w := changeWalk{seen: make(map[[2]*typ]bool)}
	w.types(s.root, old.root, "")
	return append(list, w.found...)
}

// fieldAt is the column path that one of Reads' paths leads to. Where the writer
// has a union, its branch's number stands in the path, which says nothing here.
func (s *Schema) fieldAt(pointer string) string {
	var path []string
	words := strings.Split(strings.Trim(pointer, "/"), "/")
	t := s.root
	for i := 0; i < len(words) && t != nil; i++ {
		if t.kind == kindUnion {
			t = onlyBranch(t)
		}
		switch {
		case t == nil:
		case words[i] == "fields" && t.kind == kindRecord && i+1 < len(words):
			i++
			n, err := strconv.Atoi(words[i])
			if err != nil || n >= len(t.fields) {
				return strings.Join(path, ".")
			}
			path = append(path, t.fields[n].name)
			t = t.fields[n].typ
		case words[i] == "items" && t.kind == kindArray:
			path, t = append(path, "element"), t.elem
		case words[i] == "values" && t.kind == kindMap:
			path, t = append(path, "value"), t.elem
		}
	}
	return strings.Join(path, ".")
}

// onlyBranch is the branch of a union of one type and null, which has no column of
// its own; nil for other unions.
func onlyBranch(t *typ) *typ {
	types := slices.DeleteFunc(slices.Clone(t.types), func(b *typ) bool { return b.kind == kindNull })
	if len(types) != 1 {
		return nil
	}
	return types[0]
}

// changeWalk goes through two versions side by side.
type changeWalk struct {
	seen  map[[2]*typ]bool
	found []schema.Change
}

func (w *changeWalk) note(kind, field, format string, args ...any) {
	if len(w.found) < maxDifferences {
		info := fmt.Sprintf(format, args...)
		w.found = append(w.found, schema.Change{Incompatibility: schema.Incompatibility{Type: kind, Path: field, Info: info}, Field: field})
	}
}

func (w *changeWalk) types(new, old *typ, at string) {
	pair := [2]*typ{new, old}
	if w.seen[pair] {
		return
	}
	w.seen[pair] = true
	if new.kind == kindUnion && old.kind == kindUnion {
		w.branches(new, old, at)
		return
	}
	if typeText(new) != typeText(old) {
		w.note(typeChanged, at, "%s, was %s", typeText(new), typeText(old))
	}
	// A type that becomes nullable is compared with itself.
	if new.kind == kindUnion && onlyBranch(new) != nil {
		new = onlyBranch(new)
	}
	if old.kind == kindUnion && onlyBranch(old) != nil {
		old = onlyBranch(old)
	}
	if new.kind != old.kind {
		return
	}
	if was, is := logicalText(old), logicalText(new); was != is {
		w.note(logicalChanged, at, "%s, was %s", is, was)
	}
	switch new.kind {
	case kindRecord:
		w.fields(new, old, at)
	case kindArray:
		w.types(new.elem, old.elem, columnPath(at, "element"))
	case kindMap:
		w.types(new.elem, old.elem, columnPath(at, "value"))
	case kindEnum:
		if !slices.Equal(new.symbols, old.symbols) {
			w.note(symbolsChanged, at, "[%s], was [%s]", strings.Join(new.symbols, ", "), strings.Join(old.symbols, ", "))
		}
	}
}

// branches matches those of two unions by name.
func (w *changeWalk) branches(new, old *typ, at string) {
	find := func(in *typ, like *typ) *typ {
		for _, b := range in.types {
			if b.fullName() == like.fullName() {
				return b
			}
		}
		return nil
	}
	for _, b := range new.types {
		if was := find(old, b); was != nil {
			w.types(b, was, at)
		} else {
			w.note(branchAdded, at, "%s", b.fullName())
		}
	}
	for _, b := range old.types {
		if find(new, b) == nil {
			w.note(branchRemoved, at, "%s", b.fullName())
		}
	}
}

func (w *changeWalk) fields(new, old *typ, at string) {
	kept := make(map[*field]bool)
	for _, f := range new.fields {
		path := columnPath(at, f.name)
		was, _ := writerField(old, f)
		if was == nil {
			w.note(fieldAdded, path, "%s%s", typeText(f.typ), defaultText(f))
			continue
		}
		kept[was] = true
		if was.name != f.name {
			w.note(fieldRenamed, path, "was %s", was.name)
		}
		w.types(f.typ, was.typ, path)
		if before, now := defaultText(was), defaultText(f); before != now {
			w.note(defaultChanged, path, "%s, was %s", orNone(now), orNone(before))
		}
	}
	for _, f := range old.fields {
		if !kept[f] {
			w.note(fieldRemoved, columnPath(at, f.name), "%s", typeText(f.typ))
		}
	}
}

func columnPath(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

func defaultText(f *field) string {
	if f.dflt == nil {
		return ""
	}
	return " with default " + clip(printJSON(f.dflt, false))
}

func orNone(text string) string {
	if text == "" {
		return "no default"
	}
	return strings.TrimPrefix(text, " with ")
}

// maxDefaultBytes cuts a default in a line.
const maxDefaultBytes = 60

func clip(text string) string {
	if len(text) <= maxDefaultBytes {
		return text
	}
	return strings.ToValidUTF8(text[:maxDefaultBytes], "") + "..."
}

// typeText is a type in a word or two.
func typeText(t *typ) string {
	switch t.kind {
	case kindUnion:
		var words []string
		for _, b := range t.types {
			words = append(words, b.fullName())
		}
		return "[" + strings.Join(words, ", ") + "]"
	case kindFixed:
		return fmt.Sprintf("fixed(%d)", t.size)
	}
	return kindName(t.kind)
}

func logicalText(t *typ) string {
	switch {
	case t.logical == "":
		return "none"
	case t.precision > 0:
		return fmt.Sprintf("%s(%d, %d)", t.logical, t.precision, t.scale)
	}
	return t.logical
}

// Manner says how payloads are read: all of them in our own pass. It implements
// schema.Describer.
func (s *Schema) Manner() schema.Manner {
	return schema.Manner{Limits: append(schema.CommonLimits(),
		fmt.Sprintf("items that take no bytes, of a payload: %d", schema.MaxEmptyItems),
		fmt.Sprintf("columns that items of a payload fill beside their content: %d MiB", maxRowBytes>>20))}
}
