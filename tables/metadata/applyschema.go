package metadata

import (
	"errors"
	"fmt"
	"slices"

	"github.com/apache/iceberg-go"
)

// addSchema adds a schema, or finds the one that says the same. An id that is
// taken is replaced by the next one.
func (c *change) addSchema(u Update) error {
	if u.Schema == nil || u.Schema.Schema == nil {
		return errors.New("no schema")
	}
	s := *u.Schema
	if err := checkSchema(s.Schema, c.next.Version); err != nil {
		return err
	}
	id := s.ID
	for _, have := range c.next.Schemas {
		if have.Equals(s.Schema) {
			id = have.ID
			c.lastSchema = &id
			return nil
		}
		id = max(id, have.ID+1)
	}
	s = s.renumbered(max(0, id))
	c.next.Schemas, c.lastSchema, c.changed = append(c.next.Schemas, s), &s.ID, true
	c.next.LastColumnID = max(c.next.LastColumnID, s.HighestFieldID())
	return nil
}

func (c *change) setCurrentSchema(u Update) error {
	id, err := chosen(u.SchemaID, c.lastSchema, "schema")
	if err != nil || id == c.next.CurrentSchemaID {
		return err
	}
	at := slices.IndexFunc(c.next.Schemas, func(s Schema) bool { return s.ID == id })
	if at < 0 {
		return fmt.Errorf("cannot set current schema to unknown schema with ID %d", id)
	}
	// What a table is sorted by must stay; a default spec may outlive its
	// source columns, as it does in version 1.
	for _, o := range c.next.SortOrders {
		if o.ID != c.next.DefaultSortOrderID {
			continue
		}
		if err := o.fits(c.next.Schemas[at].Schema); err != nil {
			return err
		}
	}
	c.next.CurrentSchemaID, c.changed = id, true
	return nil
}

// chosen resolves -1 to what was added last.
func chosen(id, added *int, what string) (int, error) {
	switch {
	case id == nil:
		return 0, fmt.Errorf("no %s id", what)
	case *id != last:
		return *id, nil
	case added == nil:
		return 0, fmt.Errorf("cannot set last added %s: no %s has been added", what, what)
	}
	return *added, nil
}

func (c *change) removeSchemas(u Update) error {
	if slices.Contains(u.SchemaIDs, c.next.CurrentSchemaID) {
		return fmt.Errorf("cannot remove the current schema %d", c.next.CurrentSchemaID)
	}
	before := len(c.next.Schemas)
	c.next.Schemas = slices.DeleteFunc(c.next.Schemas, func(s Schema) bool { return slices.Contains(u.SchemaIDs, s.ID) })
	c.changed = c.changed || len(c.next.Schemas) != before
	return nil
}

// addSpec adds a partition spec bound to the current schema, or finds the one
// that partitions alike. Fields without an id get the next ones.
func (c *change) addSpec(u Update) error {
	schema := c.bound()
	if u.Spec == nil || schema == nil {
		return errors.New("no spec, or no current schema to bind it to")
	}
	id := 0
	for i := range c.next.Specs {
		id = max(id, c.next.Specs[i].ID()+1)
	}
	floor := c.next.LastPartitionID
	bound, err := u.Spec.BindToSchema(schema, &floor, &id)
	if err != nil {
		return err
	}
	for i := range c.next.Specs {
		if c.next.Specs[i].CompatibleWith(&bound) {
			known := c.next.Specs[i].ID()
			c.lastSpec = &known
			return nil
		}
	}
	for i, f := range bound.Fields() {
		if c.next.Version == 1 && f.FieldID != noPartitionID+1+i {
			return fmt.Errorf("spec does not use sequential IDs that are required in v1: %s", bound)
		}
		c.next.LastPartitionID = max(c.next.LastPartitionID, f.FieldID)
	}
	c.next.Specs, c.lastSpec, c.changed = append(c.next.Specs, Spec{PartitionSpec: bound}), &id, true
	return nil
}

func (c *change) setDefaultSpec(u Update) error {
	id, err := chosen(u.SpecID, c.lastSpec, "partition spec")
	if err != nil || id == c.next.DefaultSpecID {
		return err
	}
	if c.next.Spec(id) == nil {
		return fmt.Errorf("cannot set default partition spec to unknown spec with ID %d", id)
	}
	c.next.DefaultSpecID, c.changed = id, true
	return nil
}

func (c *change) removeSpecs(u Update) error {
	if slices.Contains(u.SpecIDs, c.next.DefaultSpecID) {
		return errors.New("cannot remove the default partition spec")
	}
	before := len(c.next.Specs)
	c.next.Specs = slices.DeleteFunc(c.next.Specs, func(s Spec) bool { return slices.Contains(u.SpecIDs, s.ID()) })
	c.changed = c.changed || len(c.next.Specs) != before
	return nil
}

// addSortOrder adds a sort order, or finds the one that sorts alike. The
// unsorted one has the id 0, which no other has.
// bound is the schema that specs and sort orders refer to: the current one. A new
// table may get them before it is said which that is (DuckDB does so); then it is
// the one that was added last.
func (c *change) bound() *iceberg.Schema {
	if s := c.next.Schema(); s != nil || len(c.next.Schemas) == 0 || c.next.CurrentSchemaID != last {
		return s
	}
	return c.next.Schemas[len(c.next.Schemas)-1].Schema
}

func (c *change) addSortOrder(u Update) error {
	schema := c.bound()
	if u.SortOrder == nil || schema == nil {
		return errors.New("no sort order, or no current schema to bind it to")
	}
	o, id := *u.SortOrder, 1
	if err := o.fits(schema); err != nil {
		return err
	}
	if len(o.Fields) == 0 {
		id = 0
	}
	for _, have := range c.next.SortOrders {
		if have.SameFields(o) {
			known := have.ID
			c.lastOrder = &known
			return nil
		}
		if id > 0 {
			id = max(id, have.ID+1)
		}
	}
	c.next.SortOrders, c.lastOrder, c.changed = append(c.next.SortOrders, o.renumbered(id)), &id, true
	return nil
}

func (c *change) setDefaultSortOrder(u Update) error {
	id, err := chosen(u.SortOrderID, c.lastOrder, "sort order")
	if err != nil || id == c.next.DefaultSortOrderID {
		return err
	}
	if !slices.ContainsFunc(c.next.SortOrders, func(o SortOrder) bool { return o.ID == id }) {
		return fmt.Errorf("cannot set default sort order to unknown order with ID %d", id)
	}
	c.next.DefaultSortOrderID, c.changed = id, true
	return nil
}

// New is what a client wants of a new table.
type New struct {
	Schema *iceberg.Schema
	// Spec and Order refer to the ids of Schema; nil for none.
	Spec       *iceberg.PartitionSpec
	Order      *SortOrder
	Location   string
	Properties iceberg.Properties
	UUID       string
}

// Create makes the metadata of a new table. Field ids are given anew, from 1,
// as every Iceberg catalog does.
func Create(n New) (*Table, error) {
	if err := unreserved(n.Schema); err != nil {
		return nil, err
	}
	fresh, err := iceberg.AssignFreshSchemaIDs(n.Schema, nil)
	if err != nil {
		return nil, err
	}
	spec, err := freshSpec(n, fresh)
	if err != nil {
		return nil, err
	}
	order, err := freshOrder(n, fresh)
	if err != nil {
		return nil, err
	}
	props, version, added := iceberg.Properties{}, DefaultVersion, last
	for k, v := range n.Properties {
		if k != FormatVersionKey {
			props[k] = v
		} else if version = number(n.Properties, k, 0); version < 1 || version > maxVersion {
			return nil, fmt.Errorf("format version %q", v)
		}
	}
	return Apply(nil, "", []Update{
		{Action: UpgradeFormatVersion, FormatVersion: &version},
		{Action: AssignUUID, UUID: n.UUID},
		{Action: SetLocation, Location: n.Location},
		{Action: AddSchema, Schema: &Schema{Schema: fresh}},
		{Action: SetCurrentSchema, SchemaID: &added},
		{Action: AddSpec, Spec: &iceberg.UnboundPartitionSpec{PartitionSpec: spec}},
		{Action: SetDefaultSpec, SpecID: &added},
		{Action: AddSortOrder, SortOrder: &order},
		{Action: SetDefaultSortOrder, SortOrderID: &added},
		{Action: SetProperties, Updates: props},
	})
}

// unreserved refuses ids that metadata columns have: whoever sends them means
// those, and giving them new ones would change what they say.
func unreserved(s *iceberg.Schema) error {
	fields, err := s.FlatFields()
	if err != nil {
		return err
	}
	for f := range fields {
		if iceberg.IsReservedFieldID(f.ID) {
			return fmt.Errorf("field %s has the reserved id %d", f.Name, f.ID)
		}
	}
	return nil
}

func freshSpec(n New, fresh *iceberg.Schema) (iceberg.PartitionSpec, error) {
	if n.Spec == nil {
		return *iceberg.UnpartitionedSpec, nil
	}
	var fields []iceberg.PartitionOption
	for _, f := range n.Spec.Fields() {
		name, ok := n.Schema.FindColumnName(f.SourceID())
		if !ok {
			return iceberg.PartitionSpec{}, fmt.Errorf("cannot find source column for partition field: %d", f.SourceID())
		}
		fields = append(fields, iceberg.AddPartitionFieldByName(name, f.Name, f.Transform, fresh, nil))
	}
	return iceberg.NewPartitionSpecOpts(fields...)
}

func freshOrder(n New, fresh *iceberg.Schema) (SortOrder, error) {
	if n.Order == nil {
		return SortOrder{}, nil
	}
	var out SortOrder
	for _, f := range n.Order.Fields {
		f.SourceIDs = slices.Clone(f.SourceIDs)
		for i, id := range f.SourceIDs {
			name, ok := n.Schema.FindColumnName(id)
			col, found := fresh.FindFieldByName(name)
			if !ok || !found {
				return out, fmt.Errorf("cannot find source column for sort field: %d", id)
			}
			f.SourceIDs[i] = col.ID
		}
		out.Fields = append(out.Fields, f)
	}
	return out, nil
}
