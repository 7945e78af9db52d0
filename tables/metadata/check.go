package metadata

import (
	"errors"
	"fmt"

	"github.com/apache/iceberg-go"
)

// maxSkewMs is how far clocks of writers may be apart: logs may go back in time
// by so much, as in Iceberg's Java implementation.
const maxSkewMs = 60_000

// check tells whether the parts of a table agree. Errors are ErrInvalid.
func (t *Table) check() error {
	for _, part := range []func() error{t.checkSchemas, t.checkSpecs, t.checkOrders, t.checkSnapshots, t.checkTimes} {
		if err := part(); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	return nil
}

func (t *Table) checkSchemas() error {
	seen := make(map[int]bool, len(t.Schemas))
	for _, s := range t.Schemas {
		if seen[s.ID] {
			return fmt.Errorf("schema %d stands twice", s.ID)
		}
		seen[s.ID] = true
	}
	if !seen[t.CurrentSchemaID] {
		return fmt.Errorf("no schema %d, which is the current one", t.CurrentSchemaID)
	}
	return nil
}

func (t *Table) checkSpecs() error {
	seen := make(map[int]bool, len(t.Specs))
	for i := range t.Specs {
		id := t.Specs[i].ID()
		if seen[id] {
			return fmt.Errorf("partition spec %d stands twice", id)
		}
		seen[id] = true
	}
	if !seen[t.DefaultSpecID] {
		return fmt.Errorf("no partition spec %d, which is the default", t.DefaultSpecID)
	}
	return nil
}

func (t *Table) checkOrders() error {
	found := t.DefaultSortOrderID == 0
	for _, o := range t.SortOrders {
		if o.ID == t.DefaultSortOrderID && o.ID != 0 {
			found = true
			if err := o.fits(t.Schema()); err != nil {
				return err
			}
		}
	}
	if !found {
		return fmt.Errorf("no sort order %d, which is the default", t.DefaultSortOrderID)
	}
	return nil
}

func (t *Table) checkSnapshots() error {
	seen := make(map[int64]bool, len(t.Snapshots))
	for i, s := range t.Snapshots {
		switch {
		case s == nil:
			return fmt.Errorf("snapshot at index %d is null", i)
		case seen[s.ID]:
			return fmt.Errorf("snapshot %d stands twice", s.ID)
		case t.Version > 1 && s.SequenceNumber > t.LastSequence:
			return fmt.Errorf("snapshot %d has sequence number %d above the last one, %d", s.ID, s.SequenceNumber, t.LastSequence)
		}
		seen[s.ID] = true
	}
	for name, ref := range t.Refs {
		if !seen[ref.SnapshotID] {
			return fmt.Errorf("%s %s is at snapshot %d, which is not there", ref.Kind, name, ref.SnapshotID)
		}
	}
	main, ok := t.Refs[MainBranch]
	switch {
	case ok && main.Kind != Branch:
		return fmt.Errorf("%s is a %s", MainBranch, main.Kind)
	case ok != (t.CurrentID != nil), ok && main.SnapshotID != *t.CurrentID:
		return errors.New("the main branch is not at the current snapshot")
	}
	return nil
}

func (t *Table) checkTimes() error {
	for i := 1; i < len(t.SnapshotLog); i++ {
		if t.SnapshotLog[i].TimestampMs-t.SnapshotLog[i-1].TimestampMs < -maxSkewMs {
			return fmt.Errorf("the snapshot log goes back in time at %d", t.SnapshotLog[i].TimestampMs)
		}
	}
	for i := 1; i < len(t.MetadataLog); i++ {
		if t.MetadataLog[i].TimestampMs-t.MetadataLog[i-1].TimestampMs < -maxSkewMs {
			return fmt.Errorf("the metadata log goes back in time at %d", t.MetadataLog[i].TimestampMs)
		}
	}
	if n := len(t.SnapshotLog); n > 0 && t.LastUpdatedMs-t.SnapshotLog[n-1].TimestampMs < -maxSkewMs {
		return fmt.Errorf("last updated at %d, before the last entry of the snapshot log at %d",
			t.LastUpdatedMs, t.SnapshotLog[n-1].TimestampMs)
	}
	return nil
}

// checkSchema refuses a schema that a table of this version cannot have.
func checkSchema(s *iceberg.Schema, version int) error {
	if _, err := iceberg.IndexNameByID(s); err != nil {
		return err
	}
	fields, err := s.FlatFields()
	if err != nil {
		return err
	}
	for f := range fields {
		if iceberg.IsMetadataColumn(f.ID) {
			return fmt.Errorf("field %s has the reserved id %d", f.Name, f.ID)
		}
		if least := leastVersion(f.Type); version < least {
			return fmt.Errorf("invalid type for %s: %s is not supported until v%d", f.Name, f.Type, least)
		}
		defaults := f.InitialDefault != nil || f.WriteDefault != nil
		if defaults && version < 3 {
			return fmt.Errorf("invalid default for %s: defaults are not supported until v3", f.Name)
		}
		switch f.Type.(type) {
		case iceberg.UnknownType:
			if f.Required || defaults {
				return fmt.Errorf("field %s of unknown type is required or has a default", f.Name)
			}
		case iceberg.GeometryType, iceberg.GeographyType, iceberg.VariantType:
			if defaults {
				return fmt.Errorf("field %s of type %s has a default", f.Name, f.Type)
			}
		}
	}
	return nil
}

// leastVersion is the first version of the format that has a type.
func leastVersion(t iceberg.Type) int {
	switch t.(type) {
	case iceberg.TimestampNsType, iceberg.TimestampTzNsType, iceberg.UnknownType,
		iceberg.VariantType, iceberg.GeometryType, iceberg.GeographyType:
		return 3
	}
	return 1
}
