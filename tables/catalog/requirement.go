package catalog

import (
	"encoding/json"
	"fmt"

	"github.com/apache/iceberg-go/table"
)

// refusal is a requirement that does not hold. It is table.ErrCommitFailed,
// said in the words of Iceberg's Java implementation (UpdateRequirement):
// clients look for them.
type refusal string

// Error says which requirement failed.
func (r refusal) Error() string { return "Requirement failed: " + string(r) }

// Is makes a refusal an ErrCommitFailed.
func (r refusal) Is(err error) bool { return err == table.ErrCommitFailed }

func refuse(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }

// requirement is the wire form of every requirement; their Go types are
// iceberg-go's own.
type requirement struct {
	Type        string `json:"type"`
	UUID        string `json:"uuid"`
	Ref         string `json:"ref"`
	SnapshotID  *int64 `json:"snapshot-id"`
	FieldID     int    `json:"last-assigned-field-id"`
	SchemaID    int    `json:"current-schema-id"`
	PartitionID int    `json:"last-assigned-partition-id"`
	SpecID      int    `json:"default-spec-id"`
	SortOrderID int    `json:"default-sort-order-id"`
}

func isAssertCreate(r table.Requirement) bool { return r.GetType() == "assert-create" }

// checkRequirement returns a refusal if r does not hold for the table; meta is
// nil if there is none.
func checkRequirement(meta table.Metadata, r table.Requirement) error {
	if !known(r.GetType()) {
		// One that only callers in this process can bring along.
		if err := r.Validate(meta); err != nil {
			return fmt.Errorf("%w: %w", table.ErrCommitFailed, err)
		}
		return nil
	}
	var q requirement
	b, err := json.Marshal(r)
	if err == nil {
		err = json.Unmarshal(b, &q)
	}
	if err != nil {
		return fmt.Errorf("%w: requirement: %w", ErrInvalid, err)
	}
	if q.Type == "assert-create" {
		if meta != nil {
			return refuse("table already exists")
		}
		return nil
	}
	if meta == nil {
		return refuse("current table metadata is missing")
	}
	return checkState(meta, q)
}

func known(kind string) bool {
	switch kind {
	case "assert-create", "assert-table-uuid", "assert-ref-snapshot-id", "assert-last-assigned-field-id",
		"assert-current-schema-id", "assert-last-assigned-partition-id", "assert-default-spec-id",
		"assert-default-sort-order-id":
		return true
	}
	return false
}

func checkState(meta table.Metadata, q requirement) error {
	switch q.Type {
	case "assert-table-uuid":
		if have := meta.TableUUID().String(); have != q.UUID {
			return refuse("UUID does not match: expected %s != %s", have, q.UUID)
		}
	case "assert-ref-snapshot-id":
		return checkRef(meta, q.Ref, q.SnapshotID)
	case "assert-last-assigned-field-id":
		return same("last assigned field id changed", q.FieldID, meta.LastColumnID())
	case "assert-current-schema-id":
		return same("current schema changed", q.SchemaID, meta.CurrentSchema().ID)
	case "assert-last-assigned-partition-id":
		have := 999 // no field was ever assigned: the first one gets 1000
		if id := meta.LastPartitionSpecID(); id != nil {
			have = *id
		}
		return same("last assigned partition id changed", q.PartitionID, have)
	case "assert-default-spec-id":
		return same("default partition spec changed", q.SpecID, meta.DefaultPartitionSpec())
	case "assert-default-sort-order-id":
		return same("default sort order changed", q.SortOrderID, meta.DefaultSortOrder())
	}
	return nil
}

func same(what string, want, have int) error {
	if want != have {
		return refuse("%s: expected id %d != %d", what, want, have)
	}
	return nil
}

// checkRef checks that a branch or tag is at a snapshot, or absent if nil.
func checkRef(meta table.Metadata, name string, want *int64) error {
	for n, ref := range meta.Refs() {
		if n != name {
			continue
		}
		kind := string(ref.SnapshotRefType)
		if want == nil {
			return refuse("%s %s was created concurrently", kind, name)
		}
		if *want != ref.SnapshotID {
			return refuse("%s %s has changed: expected id %d != %d", kind, name, *want, ref.SnapshotID)
		}
		return nil
	}
	if want != nil {
		return refuse("branch or tag %s is missing, expected %d", name, *want)
	}
	return nil
}
