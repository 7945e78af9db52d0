package metadata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/apache/iceberg-go"
	"github.com/google/uuid"
)

// ErrInvalid says that metadata contradicts itself or lacks what it must have.
var ErrInvalid = errors.New("invalid table metadata")

// object is a JSON object whose fields are taken out one by one; what stays is
// not known here. The first error is kept.
type object struct {
	fields map[string]json.RawMessage
	err    error
}

// take decodes a field into v and reports whether it is there and not null.
func (o *object) take(key string, v any) bool {
	raw, ok := o.fields[key]
	delete(o.fields, key)
	if !ok || o.err != nil || isNull(raw) {
		return false
	}
	if err := json.Unmarshal(raw, v); err != nil {
		o.err = fmt.Errorf("%s: %w", key, err)
		return false
	}
	return true
}

// must is take for fields that have to be there.
func (o *object) must(key string, v any) {
	if !o.take(key, v) && o.err == nil {
		o.err = fmt.Errorf("%w: no %s", ErrInvalid, key)
	}
}

func isNull(raw json.RawMessage) bool { return bytes.Equal(bytes.TrimSpace(raw), []byte("null")) }

// Parse reads a metadata file's JSON. Errors: ErrInvalid, or those of decoding.
func Parse(data []byte) (*Table, error) {
	o := object{}
	if err := json.Unmarshal(data, &o.fields); err != nil {
		return nil, err
	}
	t := &Table{}
	o.must("format-version", &t.Version)
	if o.err == nil && (t.Version < 1 || t.Version > maxVersion) {
		o.err = fmt.Errorf("%w: format version %d", ErrInvalid, t.Version)
	}
	t.parsePlain(&o)
	t.parseSchemas(&o)
	t.parseSpecs(&o)
	t.parseOrders(&o)
	t.parseSnapshots(&o)
	if o.err != nil {
		return nil, o.err
	}
	t.extra = o.fields
	if err := t.check(); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Table) parsePlain(o *object) {
	// Version 1 may lack the UUID; it gets one when it is upgraded.
	if t.Version == 1 {
		o.take("table-uuid", &t.UUID)
	} else {
		o.must("table-uuid", &t.UUID)
		if o.err == nil && t.UUID == uuid.Nil {
			o.err = fmt.Errorf("%w: no table-uuid", ErrInvalid)
		}
		o.must("last-sequence-number", &t.LastSequence)
	}
	o.must("location", &t.Location)
	o.must("last-updated-ms", &t.LastUpdatedMs)
	o.must("last-column-id", &t.LastColumnID)
	t.Properties = iceberg.Properties{}
	o.take("properties", &t.Properties)
	o.take("metadata-log", &t.MetadataLog)
	o.take("statistics", &t.Statistics)
	o.take("partition-statistics", &t.PartitionStatistics)
	o.take("encryption-keys", &t.EncryptionKeys)
	if t.Version >= 3 {
		o.must("next-row-id", &t.NextRowID)
	}
}

// parseSchemas reads the list, or the only schema of an old version 1 table,
// which stands beside the list in newer ones.
func (t *Table) parseSchemas(o *object) {
	var old Schema
	lone := o.take("schema", &old)
	listed := o.take("schemas", &t.Schemas)
	current := o.take("current-schema-id", &t.CurrentSchemaID)
	switch {
	case o.err != nil:
	case !listed && lone && t.Version == 1:
		t.Schemas, t.CurrentSchemaID = []Schema{old}, old.ID
	case !listed || !current:
		o.err = fmt.Errorf("%w: no schemas", ErrInvalid)
	}
}

func (t *Table) parseSpecs(o *object) {
	var old json.RawMessage
	lone := o.take("partition-spec", &old)
	listed := o.take("partition-specs", &t.Specs)
	def := o.take("default-spec-id", &t.DefaultSpecID)
	last := o.take("last-partition-id", &t.LastPartitionID)
	switch {
	case o.err != nil:
		return
	case !listed && lone && t.Version == 1:
		var s Spec
		if err := s.UnmarshalJSON([]byte(`{"spec-id":0,"fields":` + string(old) + `}`)); err != nil {
			o.err = fmt.Errorf("partition-spec: %w", err)
			return
		}
		t.Specs, t.DefaultSpecID = []Spec{s}, 0
	case !listed || !def || !last && t.Version > 1:
		o.err = fmt.Errorf("%w: no partition-specs", ErrInvalid)
		return
	}
	if !last {
		t.LastPartitionID = noPartitionID
	}
	for i := range t.Specs {
		t.Specs[i] = t.Specs[i].numbered()
		for _, f := range t.Specs[i].Fields() {
			t.LastPartitionID = max(t.LastPartitionID, f.FieldID)
		}
	}
}

func (t *Table) parseOrders(o *object) {
	listed := o.take("sort-orders", &t.SortOrders)
	def := o.take("default-sort-order-id", &t.DefaultSortOrderID)
	if o.err != nil || listed && def {
		return
	}
	if t.Version > 1 {
		o.err = fmt.Errorf("%w: no sort-orders", ErrInvalid)
		return
	}
	t.SortOrders = []SortOrder{{}}
}

func (t *Table) parseSnapshots(o *object) {
	o.take("snapshots", &t.Snapshots)
	o.take("snapshot-log", &t.SnapshotLog)
	o.take("refs", &t.Refs)
	var current int64
	if o.take("current-snapshot-id", &current) && current != -1 {
		t.CurrentID = &current
	}
	if t.Refs == nil {
		t.Refs = map[string]Ref{}
	}
	if _, ok := t.Refs[MainBranch]; !ok && t.CurrentID != nil {
		t.Refs[MainBranch] = Ref{SnapshotID: *t.CurrentID, Kind: Branch}
	}
}

// UnmarshalJSON reads a schema.
func (s *Schema) UnmarshalJSON(data []byte) error {
	var in iceberg.Schema
	if isNull(data) {
		return errors.New("schema is null")
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*s = Schema{&in, clone(data)}
	return nil
}

// MarshalJSON writes what was read, or what the schema says.
func (s Schema) MarshalJSON() ([]byte, error) {
	if s.raw != nil {
		return s.raw, nil
	}
	return json.Marshal(s.Schema)
}

// renumbered is the schema under another id.
func (s Schema) renumbered(id int) Schema {
	if s.ID == id {
		return s
	}
	return Schema{
		iceberg.NewSchemaWithIdentifiers(id, s.IdentifierFieldIDs, s.Fields()...),
		withField(s.raw, "schema-id", id),
	}
}

// UnmarshalJSON reads a partition spec.
func (s *Spec) UnmarshalJSON(data []byte) error {
	if isNull(data) {
		return errors.New("partition spec is null")
	}
	if err := json.Unmarshal(data, &s.PartitionSpec); err != nil {
		return err
	}
	s.raw = clone(data)
	return nil
}

// MarshalJSON writes what was read, or what the spec says.
func (s Spec) MarshalJSON() ([]byte, error) {
	if s.raw != nil {
		return s.raw, nil
	}
	return json.Marshal(s.PartitionSpec)
}

// numbered gives fields the ids that version 1 leaves out: 1000 and up.
func (s Spec) numbered() Spec {
	var fields []iceberg.PartitionField
	missing := false
	for i, f := range s.Fields() {
		if f.FieldID == 0 {
			f.FieldID, missing = noPartitionID+1+i, true
		}
		fields = append(fields, f)
	}
	if !missing {
		return s
	}
	return Spec{PartitionSpec: iceberg.NewPartitionSpecID(s.ID(), fields...)}
}

// UnmarshalJSON reads an entry; which snapshot it is of is all that matters.
func (s *Statistics) UnmarshalJSON(data []byte) error {
	var w struct {
		SnapshotID *int64 `json:"snapshot-id"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.SnapshotID == nil {
		return errors.New("statistics without snapshot-id")
	}
	*s = Statistics{*w.SnapshotID, clone(data)}
	return nil
}

// MarshalJSON writes what was read.
func (s Statistics) MarshalJSON() ([]byte, error) { return s.raw, nil }

// UnmarshalJSON reads a key; only its name matters here.
func (k *EncryptionKey) UnmarshalJSON(data []byte) error {
	var w struct {
		ID string `json:"key-id"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.ID == "" {
		return errors.New("encryption key without key-id")
	}
	*k = EncryptionKey{w.ID, clone(data)}
	return nil
}

// MarshalJSON writes what was read.
func (k EncryptionKey) MarshalJSON() ([]byte, error) { return k.raw, nil }
