package metadata

import "encoding/json"

// MarshalJSON writes an update as the REST catalog description says it.
func (u Update) MarshalJSON() ([]byte, error) {
	if u.Action == SetProperties && len(u.Updates) == 0 {
		return []byte(`{"action":"set-properties","updates":{}}`), nil // readers want the field
	}
	if u.SortOrder != nil && u.SortOrder.ID == 0 && len(u.SortOrder.Fields) > 0 {
		// Whoever adds an order leaves its id open; readers take 0 for unsorted.
		o := u.SortOrder.renumbered(1)
		u.SortOrder = &o
	}
	type plain Update
	out, err := json.Marshal(plain(u))
	if err != nil || u.Ref == nil {
		return out, err
	}
	ref, err := json.Marshal(*u.Ref)
	if err != nil {
		return nil, err
	}
	// Both are objects: the one ends where the other goes on.
	return append(append(out[:len(out)-1], ','), ref[1:]...), nil
}

// MarshalJSON writes a requirement as the REST catalog description says it:
// with what belongs to its type. What it Holds is lost.
func (r Requirement) MarshalJSON() ([]byte, error) {
	out := map[string]any{"type": r.Type}
	switch r.Type {
	case AssertTableUUID:
		out["uuid"] = r.UUID
	case AssertRefSnapshotID:
		out["ref"], out["snapshot-id"] = r.Ref, r.SnapshotID
	case AssertLastAssignedFieldID:
		out["last-assigned-field-id"] = r.FieldID
	case AssertCurrentSchemaID:
		out["current-schema-id"] = r.SchemaID
	case AssertLastAssignedPartitionID:
		out["last-assigned-partition-id"] = r.PartitionID
	case AssertDefaultSpecID:
		out["default-spec-id"] = r.SpecID
	case AssertDefaultSortOrderID:
		out["default-sort-order-id"] = r.SortOrderID
	}
	return json.Marshal(out)
}
