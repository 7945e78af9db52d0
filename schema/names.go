package schema

import (
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// reservedPrefix begins the names of the columns that tables add for Kafka's
// own facts (kafka_offset and so on).
const reservedPrefix = "kafka_"

// ColumnName is the column name of a user's field: the field's own, except that
// one which begins with kafka_, in any case, gets an underscore at its end. All
// of these get it, so two different names never meet.
func ColumnName(field string) string {
	if len(field) >= len(reservedPrefix) && strings.EqualFold(field[:len(reservedPrefix)], reservedPrefix) {
		return field + "_"
	}
	return field
}

// CheckColumns refuses what no table can hold: no columns at all, an empty
// name, names in one struct that differ only in case, a struct without fields,
// more columns or more depth than the limits. The error names the place.
func CheckColumns(s *arrow.Schema) error {
	leaves := 0
	return checkFields("$", s.Fields(), 0, &leaves)
}

func checkFields(path string, fields []arrow.Field, depth int, leaves *int) error {
	if len(fields) == 0 {
		return fmt.Errorf("%s: a record without fields has no table form", path)
	}
	seen := make(map[string]string, len(fields))
	for _, f := range fields {
		if f.Name == "" {
			return fmt.Errorf("%s: a field with an empty name has no table form", path)
		}
		low := strings.ToLower(f.Name)
		if other, ok := seen[low]; ok {
			return fmt.Errorf("%s: fields %q and %q differ only in case, which tables do not tell apart", path, other, f.Name)
		}
		seen[low] = f.Name
		if err := checkType(path+segment(f.Name), f.Type, depth+1, leaves); err != nil {
			return err
		}
	}
	return nil
}

func checkType(path string, t arrow.DataType, depth int, leaves *int) error {
	if depth > 2*MaxDepth { // a list in a record counts two levels
		return fmt.Errorf("%s: nested deeper than %d levels", path, 2*MaxDepth)
	}
	switch t := t.(type) {
	case *arrow.StructType:
		return checkFields(path, t.Fields(), depth, leaves)
	case *arrow.ListType:
		return checkType(path+"[]", t.Elem(), depth+1, leaves)
	case *arrow.MapType:
		return errors.Join(
			checkType(path+"{key}", t.KeyType(), depth+1, leaves),
			checkType(path+"{}", t.ItemType(), depth+1, leaves))
	}
	if *leaves++; *leaves > MaxFields {
		return fmt.Errorf("%s: more than %d columns", path, MaxFields)
	}
	return nil
}
