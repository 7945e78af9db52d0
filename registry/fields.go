package registry

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/language"
)

// reservedProperty is the property of metadata that names fields, with commas
// between, which no version may have any more.
const reservedProperty = "confluent:reserved"

// The kinds of what the setting validateFields refuses. Their descriptions are
// Confluent's messages as a whole.
const (
	reservedRemoved   = "RESERVED_FIELD_REMOVED"
	reservedConflicts = "RESERVED_FIELD_CONFLICTS"
)

// reserved checks the reserved names of d against the version before, nil if
// there is none, and against d's own fields.
func (d *draft) reserved(previous *version) []schema.Incompatibility {
	var list []schema.Incompatibility
	metadata := d.item.Metadata
	if d.request.Metadata == nil && metadata == nil && previous != nil {
		metadata = previous.item.Metadata // as the version will have it
	}
	names := reservedNames(metadata)
	if previous != nil {
		for _, name := range reservedNames(previous.item.Metadata) {
			if !slices.Contains(names, name) {
				list = append(list, schema.Incompatibility{Type: reservedRemoved, Path: "/", Info: name, Description: fmt.Sprintf(
					"The new schema has reserved field %s removed from its metadata which is present in the old schema's metadata.", name)})
			}
		}
	}
	fields := language.Fields(d.schema)
	for _, name := range names {
		if slices.Contains(fields, name) {
			list = append(list, schema.Incompatibility{Type: reservedConflicts, Path: "/" + name, Info: name, Description: fmt.Sprintf(
				"The new schema has field that conflicts with the reserved field %s.", name)})
		}
	}
	return list
}

func reservedNames(m *schema.Metadata) []string {
	text, ok := property(m, reservedProperty)
	if !ok {
		return nil
	}
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// checkFields refuses names that validateFields keeps for the registry: those of
// JSON properties that begin with $$.
func checkFields(s schema.Schema) error {
	if s.Type() != schema.JSON {
		return nil
	}
	for _, name := range language.Fields(s) {
		if strings.HasPrefix(name, "$$") {
			return badSchema("#/properties/%s: Field names cannot start with $$ prefix", name)
		}
	}
	return nil
}
