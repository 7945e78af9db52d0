package delta

import (
	"encoding/json"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/tables"
)

// keyTypeChanges is where a struct field keeps the types it, or the elements of
// lists and maps in it, had before (protocol, "Type Widening").
const keyTypeChanges = "delta.typeChanges"

// keyEnableWidening is the table property that allows columns to widen.
const keyEnableWidening = "delta.enableTypeWidening"

// typeChange is one entry there. FieldPath leads from the struct field to a
// list's element or a map's value; it is empty for the field itself.
type typeChange struct {
	ToType    string `json:"toType"`
	FromType  string `json:"fromType"`
	FieldPath string `json:"fieldPath,omitempty"`
}

// typeChanges are all of a schema, by the struct field's dotted path.
type typeChanges map[string][]typeChange

// readChanges collects the type changes that a schema's JSON says.
func readChanges(schema string) (typeChanges, error) {
	var root any
	if err := json.Unmarshal([]byte(schema), &root); err != nil {
		return nil, fmt.Errorf("schemaString: %w: %w", tables.ErrBroken, err)
	}
	out := typeChanges{}
	if err := out.read(root, ""); err != nil {
		return nil, fmt.Errorf("schemaString: %w: %w", tables.ErrBroken, err)
	}
	return out, nil
}

// read walks a type's JSON; path ends in a dot unless it is the root's.
func (c typeChanges) read(node any, path string) error {
	object, ok := node.(map[string]any)
	if !ok {
		return nil
	}
	for key, name := range map[string]string{"elementType": "element.", "keyType": "key.", "valueType": "value."} {
		if err := c.read(object[key], path+name); err != nil {
			return err
		}
	}
	fields, _ := object["fields"].([]any)
	for _, f := range fields {
		field, _ := f.(map[string]any)
		name, _ := field["name"].(string)
		meta, _ := field["metadata"].(map[string]any)
		if said, ok := meta[keyTypeChanges]; ok {
			text, err := json.Marshal(said)
			if err != nil {
				return err
			}
			var changes []typeChange
			if err := json.Unmarshal(text, &changes); err != nil {
				return err
			}
			c[path+name] = changes
		}
		if err := c.read(field["type"], path+name+"."); err != nil {
			return err
		}
	}
	return nil
}

// compare adds what widened from one physical schema to the next. Both are
// walked by name; fields of have that next lacks do not come up.
func (c typeChanges) compare(have, next []arrow.Field, parent string) error {
	byName := make(map[string]arrow.Field, len(have))
	for _, f := range have {
		byName[f.Name] = f
	}
	for _, f := range next {
		if old, ok := byName[f.Name]; ok {
			if err := c.compareType(old.Type, f.Type, parent+f.Name, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// compareType compares the types at fieldPath below the struct field at path.
func (c typeChanges) compareType(have, next arrow.DataType, path, fieldPath string) error {
	below := func(name string) string {
		if fieldPath == "" {
			return name
		}
		return fieldPath + "." + name
	}
	at := func() string {
		if fieldPath == "" {
			return path + "."
		}
		return path + "." + fieldPath + "."
	}
	switch n := next.(type) {
	case *arrow.StructType:
		return c.compare(tables.Children(have), n.Fields(), at())
	case *arrow.ListType:
		return c.compareType(tables.Children(have)[0].Type, n.Elem(), path, below("element"))
	case *arrow.MapType:
		return c.compareType(tables.Children(have)[1].Type, n.ItemType(), path, below("value"))
	}
	from, err := sparkType(have, "", nil)
	if err != nil {
		return err
	}
	to, err := sparkType(next, "", nil)
	if err != nil {
		return err
	}
	if from != to {
		c[path] = append(c[path], typeChange{fmt.Sprint(to), fmt.Sprint(from), fieldPath})
	}
	return nil
}

// renewed reports whether no file stays that was written before a commit, whose own
// are of its types.
func (t *table) renewed(c tables.Commit) bool {
	return c.Remove != nil && c.Remove.Renewed && len(c.Remove.Files) == len(t.state.byPath)
}

// forgetWidening states a schema without the types that its columns had before: no
// live file has them. Older versions keep the metadata, and the protocol, that they
// were written with.
func forgetWidening(meta *metaData, s, physical *tables.Schema) error {
	delete(meta.Configuration, keyEnableWidening)
	return setSchema(meta, s, physical, nil)
}
