package tables

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// ChangeKind says what a Change did.
type ChangeKind string

// The kinds of change that a table can absorb.
const (
	// Added is a new nullable field.
	Added ChangeKind = "added"
	// Widened is a leaf whose type now holds more values.
	Widened ChangeKind = "widened"
	// Optional is a required field that became nullable.
	Optional ChangeKind = "optional"
)

// Change is one step from a schema to the next.
type Change struct {
	Kind ChangeKind
	// Path is the field's dotted path; list elements and map entries stand in
	// it as "element", "key" and "value".
	Path string
	// FieldID is the field's id, ParentID that of the field it lies in (0 at
	// the top).
	FieldID, ParentID int
	// Field is the field as it is after the change, with what it holds.
	Field arrow.Field
}

// Conflict is a field that the table cannot absorb.
type Conflict struct {
	Path string
	// Have is the table's type, Want the one asked for, or what is wrong.
	Have, Want string
}

// MergeConflict is refused: some fields do not fit the table. Nothing was
// merged; the caller decides between new columns and dead letters.
type MergeConflict struct {
	Conflicts []Conflict
}

// Error lists the conflicts.
func (m *MergeConflict) Error() string {
	var b strings.Builder
	b.WriteString("schema does not fit the table: ")
	for i, c := range m.Conflicts {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s is %s, not %s", c.Path, c.Have, c.Want)
	}
	return b.String()
}

// Merge returns the schema that holds the rows of s as well as those of t, with
// the changes that lead there. Fields are matched by name. New fields are added
// as nullable, at the end and with new ids, nested ones too; int32 becomes
// int64, float32 float64, a decimal gains precision at the same scale; a
// required field that is missing or nullable in s becomes nullable. A type in s
// that is narrower than the table's changes nothing: Project widens its rows.
// If nothing changes, t itself is returned with nil. Ids in s are ignored.
// Errors: *MergeConflict, ErrSchema.
func (t *Schema) Merge(s *arrow.Schema) (*Schema, []Change, error) {
	if _, err := NewSchema(s); err != nil {
		return nil, nil, err
	}
	m := merger{last: t.LastID}
	fields := m.fields(t.Arrow.Fields(), s.Fields(), "", 0)
	if len(m.conflicts) > 0 {
		return nil, nil, &MergeConflict{m.conflicts}
	}
	if m.err != nil {
		return nil, nil, m.err
	}
	if len(m.changes) == 0 {
		return t, nil, nil
	}
	next, err := KeepIDs(t.ID+1, arrow.NewSchema(fields, nil))
	if err != nil {
		return nil, nil, err
	}
	next.LastID, next.Layout = m.last, t.Layout
	for _, c := range m.changes {
		for _, f := range t.Layout.Partition {
			if c.Kind == Added && c.ParentID == 0 && strings.EqualFold(f.Name, c.Path) {
				m.conflicts = append(m.conflicts, Conflict{c.Path, "a partition field of that name", "a column"})
			}
		}
	}
	if len(m.conflicts) > 0 {
		return nil, nil, &MergeConflict{m.conflicts}
	}
	return next, m.changes, nil
}

// Extends reports, as nil, that t can follow old as a table's schema: it holds
// old's rows, and what both have carries the same ids. Errors are ErrSchema.
func (t *Schema) Extends(old *Schema) error {
	if t.ID <= old.ID || t.LastID < old.LastID {
		return fmt.Errorf("schema %d (last id %d) does not come after %d (%d): %w", t.ID, t.LastID, old.ID, old.LastID, ErrSchema)
	}
	_, changes, err := t.Merge(old.Arrow)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSchema, err)
	}
	for _, c := range changes {
		return fmt.Errorf("%s would have to be %s: %w", c.Path, c.Kind, ErrSchema)
	}
	return sameIDs(old.Arrow.Fields(), t.Arrow.Fields(), "", old.LastID)
}

// sameIDs checks the fields of have against those of next, matched by place in
// the tree: shared ones keep their id, new ones have ids above last.
func sameIDs(have, next []arrow.Field, parent string, last int) error {
	byName := make(map[string]arrow.Field, len(have))
	for _, f := range have {
		byName[f.Name] = f
	}
	for _, f := range next {
		id, _ := FieldID(f)
		old, ok := byName[f.Name]
		if !ok {
			if id <= last {
				return fmt.Errorf("%s: new field has the used id %d: %w", join(parent, f.Name), id, ErrSchema)
			}
			continue
		}
		if was, _ := FieldID(old); was != id {
			return fmt.Errorf("%s: id was %d, is %d: %w", join(parent, f.Name), was, id, ErrSchema)
		}
		if err := sameIDs(Children(old.Type), Children(f.Type), join(parent, f.Name), last); err != nil {
			return err
		}
	}
	return nil
}

type merger struct {
	last      int
	changes   []Change
	conflicts []Conflict
	err       error
}

// fields merges the fields of a struct, or of the top level.
func (m *merger) fields(have, want []arrow.Field, parent string, parentID int) []arrow.Field {
	byName := make(map[string]arrow.Field, len(want))
	for _, f := range want {
		byName[f.Name] = f
	}
	out := make([]arrow.Field, 0, len(have)+len(want))
	taken := make(map[string]string, len(have))
	for _, f := range have {
		taken[strings.ToLower(f.Name)] = f.Name
		w, ok := byName[f.Name]
		if !ok {
			w = f
			w.Nullable = true
		}
		out = append(out, m.field(f, w, parent, parentID))
	}
	for _, f := range want {
		other, ok := taken[strings.ToLower(f.Name)]
		if ok && other == f.Name {
			continue
		}
		if ok {
			m.conflicts = append(m.conflicts, Conflict{join(parent, f.Name), "named " + other, "a name that differs only in case"})
			continue
		}
		out = append(out, m.add(f, parent, parentID))
	}
	return out
}

func (m *merger) add(f arrow.Field, parent string, parentID int) arrow.Field {
	f.Nullable = true
	added, err := assignIDs([]arrow.Field{f}, &m.last)
	if err != nil {
		m.err = err
		return f
	}
	id, _ := FieldID(added[0])
	m.changes = append(m.changes, Change{Added, join(parent, f.Name), id, parentID, added[0]})
	return added[0]
}

// field merges a field that both sides have.
func (m *merger) field(have, want arrow.Field, parent string, parentID int) arrow.Field {
	path := join(parent, have.Name)
	id, _ := FieldID(have)
	out := have
	if want.Nullable && !have.Nullable {
		out.Nullable = true
		// What the field holds is filled in below, before anyone reads it.
		at := len(m.changes)
		m.changes = append(m.changes, Change{Kind: Optional, Path: path, FieldID: id, ParentID: parentID})
		defer func() { m.changes[at].Field = out }()
	}
	switch t := have.Type.(type) {
	case *arrow.StructType:
		if w, ok := want.Type.(*arrow.StructType); ok {
			out.Type = arrow.StructOf(m.fields(t.Fields(), w.Fields(), path, id)...)
			return out
		}
	case *arrow.ListType:
		if w, ok := want.Type.(*arrow.ListType); ok {
			out.Type = WithChildren(t, []arrow.Field{m.field(t.ElemField(), w.ElemField(), path, id)})
			return out
		}
	case *arrow.MapType:
		if w, ok := want.Type.(*arrow.MapType); ok {
			m.key(t.KeyField(), w.KeyField(), path)
			out.Type = WithChildren(t, []arrow.Field{t.KeyField(), m.field(t.ItemField(), w.ItemField(), path, id)})
			return out
		}
	default:
		if wider, ok := widen(have.Type, want.Type); ok {
			if !arrow.TypeEqual(wider, have.Type) {
				out.Type = wider
				m.changes = append(m.changes, Change{Widened, path, id, parentID, out})
			}
			return out
		}
	}
	m.conflicts = append(m.conflicts, Conflict{path, have.Type.String(), want.Type.String()})
	return out
}

// key checks a map's key: neither Iceberg nor Delta lets it change, so it must
// hold all that is wanted as it is.
func (m *merger) key(have, want arrow.Field, parent string) {
	probe := merger{}
	probe.field(have, want, parent, 0)
	if len(probe.changes)+len(probe.conflicts) > 0 {
		m.conflicts = append(m.conflicts, Conflict{join(parent, "key"), have.Type.String(), want.Type.String()})
	}
}

// widen returns the leaf type that holds the values of both, by Iceberg's
// promotions (spec, "Schema Evolution"); false if there is none.
func widen(a, b arrow.DataType) (arrow.DataType, bool) {
	if arrow.TypeEqual(a, b) {
		return a, true
	}
	switch {
	case isPair(a, b, arrow.INT32, arrow.INT64):
		return arrow.PrimitiveTypes.Int64, true
	case isPair(a, b, arrow.FLOAT32, arrow.FLOAT64):
		return arrow.PrimitiveTypes.Float64, true
	}
	x, okX := a.(*arrow.Decimal128Type)
	y, okY := b.(*arrow.Decimal128Type)
	if !okX || !okY || x.Scale != y.Scale {
		return nil, false
	}
	return &arrow.Decimal128Type{Precision: max(x.Precision, y.Precision), Scale: x.Scale}, true
}

func isPair(a, b arrow.DataType, x, y arrow.Type) bool {
	return a.ID() == x && b.ID() == y || a.ID() == y && b.ID() == x
}
