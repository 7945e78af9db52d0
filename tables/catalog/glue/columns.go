package glue

import (
	"fmt"
	"strings"

	"github.com/apache/iceberg-go"
)

// maxType is the longest type that Glue takes for a column. It is for show:
// engines read Iceberg's schema.
const maxType = 131_072

// columns are a schema's as Hive would say them.
func columns(s *iceberg.Schema) []map[string]string {
	var out []map[string]string
	for _, f := range s.Fields() {
		t := hive(f.Type)
		if len(t) > maxType {
			t = "string"
		}
		out = append(out, map[string]string{"Name": f.Name, "Type": t})
	}
	return out
}

func hive(t iceberg.Type) string {
	switch t := t.(type) {
	case iceberg.BooleanType:
		return "boolean"
	case iceberg.Int32Type:
		return "int"
	case iceberg.Int64Type:
		return "bigint"
	case iceberg.Float32Type:
		return "float"
	case iceberg.Float64Type:
		return "double"
	case iceberg.DecimalType:
		return fmt.Sprintf("decimal(%d,%d)", t.Precision(), t.Scale())
	case iceberg.DateType:
		return "date"
	case iceberg.TimestampType, iceberg.TimestampTzType:
		return "timestamp"
	case iceberg.BinaryType, iceberg.FixedType:
		return "binary"
	case *iceberg.ListType:
		return "array<" + hive(t.Element) + ">"
	case *iceberg.MapType:
		return "map<" + hive(t.KeyType) + "," + hive(t.ValueType) + ">"
	case *iceberg.StructType:
		var parts []string
		for _, f := range t.FieldList {
			parts = append(parts, f.Name+":"+hive(f.Type))
		}
		return "struct<" + strings.Join(parts, ",") + ">"
	}
	return "string"
}
