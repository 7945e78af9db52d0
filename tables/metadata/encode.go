package metadata

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/apache/iceberg-go"
)

// tableJSON is a metadata file, in the order in which it is written.
type tableJSON struct {
	LastSequence        *int64             `json:"last-sequence-number,omitempty"`
	Version             int                `json:"format-version"`
	UUID                *uuid.UUID         `json:"table-uuid,omitempty"`
	Location            string             `json:"location"`
	LastUpdatedMs       int64              `json:"last-updated-ms"`
	LastColumnID        int                `json:"last-column-id"`
	Schema              *Schema            `json:"schema,omitempty"` // version 1
	Schemas             []Schema           `json:"schemas"`
	CurrentSchemaID     int                `json:"current-schema-id"`
	Spec                *[]json.RawMessage `json:"partition-spec,omitempty"` // version 1
	Specs               []Spec             `json:"partition-specs"`
	DefaultSpecID       int                `json:"default-spec-id"`
	LastPartitionID     int                `json:"last-partition-id"`
	Properties          iceberg.Properties `json:"properties,omitempty"`
	CurrentID           *int64             `json:"current-snapshot-id,omitempty"`
	Snapshots           []*Snapshot        `json:"snapshots,omitempty"`
	SnapshotLog         []LogEntry         `json:"snapshot-log,omitempty"`
	MetadataLog         []FileEntry        `json:"metadata-log,omitempty"`
	SortOrders          []SortOrder        `json:"sort-orders"`
	DefaultSortOrderID  int                `json:"default-sort-order-id"`
	Refs                map[string]Ref     `json:"refs,omitempty"`
	Statistics          []Statistics       `json:"statistics,omitempty"`
	PartitionStatistics []Statistics       `json:"partition-statistics,omitempty"`
	EncryptionKeys      []EncryptionKey    `json:"encryption-keys,omitempty"`
	NextRowID           *int64             `json:"next-row-id,omitempty"`
}

// MarshalJSON writes a metadata file.
func (t *Table) MarshalJSON() ([]byte, error) { return t.encode(t.Snapshots) }

// OnlyRefs writes a metadata file that lists only the snapshots which a branch
// or tag points at.
func (t *Table) OnlyRefs() ([]byte, error) {
	used := make(map[int64]bool)
	for _, ref := range t.Refs {
		used[ref.SnapshotID] = true
	}
	return t.encode(slices.DeleteFunc(slices.Clone(t.Snapshots), func(s *Snapshot) bool { return !used[s.ID] }))
}

func (t *Table) encode(snapshots []*Snapshot) ([]byte, error) {
	w := tableJSON{
		nil, t.Version, nil, t.Location, t.LastUpdatedMs, t.LastColumnID,
		nil, t.Schemas, t.CurrentSchemaID, nil, t.Specs, t.DefaultSpecID, t.LastPartitionID,
		t.Properties, t.CurrentID, snapshots, t.SnapshotLog, t.MetadataLog,
		t.SortOrders, t.DefaultSortOrderID, t.Refs, t.Statistics, t.PartitionStatistics,
		t.EncryptionKeys, nil,
	}
	if t.UUID != uuid.Nil { // which only old version 1 tables lack
		w.UUID = &t.UUID
	}
	if t.Version == 1 {
		if err := t.old(&w); err != nil {
			return nil, err
		}
	} else {
		w.LastSequence = &t.LastSequence
	}
	if t.Version >= 3 {
		w.NextRowID = &t.NextRowID
	}
	out, err := json.Marshal(w)
	if err != nil || len(t.extra) == 0 {
		return out, err
	}
	out = out[:len(out)-1]
	for _, key := range slices.Sorted(maps.Keys(t.extra)) {
		name, err := json.Marshal(key)
		if err != nil {
			return nil, err
		}
		out = append(append(append(append(out, ','), name...), ':'), t.extra[key]...)
	}
	return append(out, '}'), nil
}

// old adds what readers of version 1 look for: the current schema and spec.
func (t *Table) old(w *tableJSON) error {
	for i := range t.Schemas {
		if t.Schemas[i].ID == t.CurrentSchemaID {
			w.Schema = &t.Schemas[i]
		}
	}
	for i := range t.Specs {
		if t.Specs[i].ID() != t.DefaultSpecID {
			continue
		}
		data, err := t.Specs[i].MarshalJSON()
		if err != nil {
			return err
		}
		var fields struct {
			Fields []json.RawMessage `json:"fields"`
		}
		if err := json.Unmarshal(data, &fields); err != nil {
			return err
		}
		if fields.Fields == nil {
			fields.Fields = []json.RawMessage{}
		}
		w.Spec = &fields.Fields
	}
	return nil
}

// withField is a JSON object with one field set to a number; nil stays nil, so
// that what was made here is written from its fields.
func withField[N int | int64](raw json.RawMessage, key string, value N) json.RawMessage {
	if raw == nil {
		return nil
	}
	var fields map[string]json.RawMessage
	// It was decoded before, so that neither step fails.
	if json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	number, _ := json.Marshal(value)
	fields[key] = number
	out, _ := json.Marshal(fields)
	return out
}
