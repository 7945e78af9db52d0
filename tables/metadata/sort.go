package metadata

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/iceberg-go"
)

// SortOrder is an order that writers may sort rows by; 0 is the unsorted one.
type SortOrder struct {
	ID     int
	Fields []SortField
	raw    json.RawMessage
}

// SortField is one key of a sort order.
type SortField struct {
	SourceIDs []int // one, unless a transform takes several
	Transform iceberg.Transform
	Direction string // asc or desc
	NullOrder string // nulls-first or nulls-last
}

type sortOrderJSON struct {
	ID     *int        `json:"order-id"`
	Fields []SortField `json:"fields"`
}

type sortFieldJSON struct {
	SourceID  *int   `json:"source-id,omitempty"`
	SourceIDs []int  `json:"source-ids,omitempty"`
	Transform string `json:"transform"`
	Direction string `json:"direction"`
	NullOrder string `json:"null-order"`
}

// MarshalJSON writes what was read, or what the fields say.
func (o SortOrder) MarshalJSON() ([]byte, error) {
	if o.raw != nil {
		return o.raw, nil
	}
	w := sortOrderJSON{&o.ID, o.Fields}
	if w.Fields == nil {
		w.Fields = []SortField{}
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads a sort order. One without fields is the unsorted one.
func (o *SortOrder) UnmarshalJSON(data []byte) error {
	var w sortOrderJSON
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.ID == nil {
		return errors.New("sort order without order-id")
	}
	if *w.ID == 0 && len(w.Fields) > 0 {
		return errors.New("sort order ID 0 is reserved for unsorted order")
	}
	*o = SortOrder{*w.ID, w.Fields, clone(data)}
	return nil
}

// MarshalJSON writes a field.
func (f SortField) MarshalJSON() ([]byte, error) {
	w := sortFieldJSON{Transform: f.Transform.String(), Direction: f.Direction, NullOrder: f.NullOrder}
	if len(f.SourceIDs) == 1 {
		w.SourceID = &f.SourceIDs[0]
	} else {
		w.SourceIDs = f.SourceIDs
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads a field. A missing null order is that of Java: nulls
// first in an ascending order, last in a descending one.
func (f *SortField) UnmarshalJSON(data []byte) error {
	var w sortFieldJSON
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.SourceID != nil {
		w.SourceIDs = []int{*w.SourceID}
	}
	transform, err := iceberg.ParseTransform(w.Transform)
	if err != nil {
		return fmt.Errorf("sort field: %w", err)
	}
	if w.NullOrder == "" {
		w.NullOrder = "nulls-last"
		if w.Direction == "asc" {
			w.NullOrder = "nulls-first"
		}
	}
	switch {
	case len(w.SourceIDs) == 0:
		return errors.New("sort field without source-id")
	case w.Direction != "asc" && w.Direction != "desc":
		return fmt.Errorf("sort direction %q: it is asc or desc", w.Direction)
	case w.NullOrder != "nulls-first" && w.NullOrder != "nulls-last":
		return fmt.Errorf("null order %q: it is nulls-first or nulls-last", w.NullOrder)
	}
	*f = SortField{w.SourceIDs, transform, w.Direction, w.NullOrder}
	return nil
}

// SameFields reports whether both orders sort alike.
func (o SortOrder) SameFields(p SortOrder) bool {
	return slices.EqualFunc(o.Fields, p.Fields, SortField.same)
}

func (f SortField) same(g SortField) bool {
	return slices.Equal(f.SourceIDs, g.SourceIDs) && f.Transform.Equals(g.Transform) &&
		f.Direction == g.Direction && f.NullOrder == g.NullOrder
}

// fits checks that the schema has what the order sorts by.
func (o SortOrder) fits(s *iceberg.Schema) error {
	for _, f := range o.Fields {
		for _, id := range f.SourceIDs {
			col, ok := s.FindFieldByID(id)
			if !ok {
				return fmt.Errorf("cannot find source column for sort field: %d", id)
			}
			if _, primitive := col.Type.(iceberg.PrimitiveType); !primitive {
				return fmt.Errorf("cannot sort by non-primitive source field: %s", col.Type)
			}
			if !f.Transform.CanTransform(col.Type) {
				return fmt.Errorf("invalid source type %s for transform: %s", col.Type, f.Transform)
			}
		}
	}
	return nil
}

// renumbered is the order under another id.
func (o SortOrder) renumbered(id int) SortOrder {
	if o.ID != id {
		o.ID, o.raw = id, withField(o.raw, "order-id", id)
	}
	return o
}
