package catalog

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/apache/iceberg-go"

	"github.com/tarn-io/tarn/tables/metadata"
)

// createBody is a CreateTableRequest.
type createBody struct {
	Name        string                 `json:"name"`
	Location    string                 `json:"location"`
	Schema      *iceberg.Schema        `json:"schema"`
	Spec        *iceberg.PartitionSpec `json:"partition-spec"`
	Order       *metadata.SortOrder    `json:"write-order"`
	StageCreate bool                   `json:"stage-create"`
	Properties  iceberg.Properties     `json:"properties"`
}

// UnmarshalJSON reads a request. Spark counts the fields of a new table from 0,
// and 0 is no field's id for those who read it; since the catalog gives all ids
// anew, they are moved up by one, in what refers to them too.
func (b *createBody) UnmarshalJSON(data []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	var schema any
	if err := number(raw["schema"], &schema); err != nil {
		return err
	}
	if hasZero(schema) {
		for _, key := range []string{"schema", "partition-spec", "write-order"} {
			var v any
			if err := number(raw[key], &v); err != nil {
				return err
			}
			moveUp(v)
			moved, err := json.Marshal(v)
			if err != nil {
				return err
			}
			raw[key] = moved
		}
		var err error
		if data, err = json.Marshal(raw); err != nil {
			return err
		}
	}
	type plain createBody
	return json.Unmarshal(data, (*plain)(b))
}

// number decodes JSON with numbers as they are written; nothing for nothing.
func number(data []byte, v *any) error {
	if len(data) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode(v)
}

// idKeys and idLists are the keys of JSON that hold ids of fields, alone and in
// lists.
func idKeys() []string  { return []string{"id", "element-id", "key-id", "value-id", "source-id"} }
func idLists() []string { return []string{"source-ids", "identifier-field-ids"} }

// defaults hold values and no ids, whatever their keys.
func isDefault(key string) bool { return key == "initial-default" || key == "write-default" }

// hasZero reports whether a field has the id 0.
func hasZero(v any) bool {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if hasZero(e) {
				return true
			}
		}
	case map[string]any:
		for _, key := range idKeys() {
			if v[key] == json.Number("0") {
				return true
			}
		}
		for key, e := range v {
			if !isDefault(key) && hasZero(e) {
				return true
			}
		}
	}
	return false
}

// moveUp adds one to all ids of fields.
func moveUp(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			moveUp(e)
		}
	case map[string]any:
		for _, key := range idKeys() {
			if n, ok := v[key].(json.Number); ok {
				v[key] = next(n)
			}
		}
		for _, key := range idLists() {
			list, _ := v[key].([]any)
			for i, e := range list {
				if n, ok := e.(json.Number); ok {
					list[i] = next(n)
				}
			}
		}
		for key, e := range v {
			if !isDefault(key) {
				moveUp(e)
			}
		}
	}
}

// next is a number and one; what is no whole number stays, and is refused later.
func next(n json.Number) json.Number {
	i, err := n.Int64()
	if err != nil {
		return n
	}
	return json.Number(strconv.FormatInt(i+1, 10))
}
