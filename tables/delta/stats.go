package delta

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/tables"
)

const (
	// statsLeaves is how many leaf columns have statistics, readers' default
	// (delta.dataSkippingNumIndexedCols).
	statsLeaves = 32
	// statsRunes is where strings are cut, as Spark does.
	statsRunes = 32
	// exactDigits is how many digits a decimal's bound has at most: some readers
	// take JSON numbers for doubles, which hold 15 exactly.
	exactDigits = 15
)

// members are a JSON object's, in order.
type members []member

type member struct {
	name  string
	value any // members or json.RawMessage
}

// MarshalJSON implements json.Marshaler.
func (m members) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, x := range m {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(x.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(x.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// statsJSON writes an add's statistics (protocol, "Per-file Statistics") from
// those of the data file, by the physical schema.
func statsJSON(f tables.DataFile, s *tables.Schema) (string, error) {
	g := statsGatherer{columns: make(map[int]tables.ColumnStats, len(f.Columns)), left: statsLeaves}
	for _, c := range f.Columns {
		g.columns[c.FieldID] = c
	}
	for _, p := range s.Layout.Partition {
		if _, is := s.InColumn(p); is {
			delete(g.columns, p.Source) // the add says its one value
		}
	}
	least, most, nulls := g.fields(s.Arrow.Fields())
	text, err := json.Marshal(members{
		{"numRecords", f.Rows}, {"minValues", least}, {"maxValues", most}, {"nullCount", nulls},
	})
	return string(text), err
}

type statsGatherer struct {
	columns map[int]tables.ColumnStats // by field id; not those of partition columns
	left    int                        // leaves that may still be added
}

func (g *statsGatherer) fields(fields []arrow.Field) (least, most, nulls members) {
	for _, f := range fields {
		if t, ok := f.Type.(*arrow.StructType); ok {
			l, m, n := g.fields(t.Fields())
			least, most, nulls = addGroup(least, f.Name, l), addGroup(most, f.Name, m), addGroup(nulls, f.Name, n)
			continue
		}
		if g.left--; g.left < 0 {
			break
		}
		id, _ := tables.FieldID(f)
		c, ok := g.columns[id]
		if !ok || tables.Children(f.Type) != nil {
			continue // lists and maps have none
		}
		nulls = append(nulls, member{f.Name, c.Nulls})
		if v := lower(f.Type, c.Min); v != nil {
			least = append(least, member{f.Name, v})
		}
		// To Spark, NaN is above all numbers: with one, there is no maximum.
		if v := upper(f.Type, c.Max); v != nil && c.NaNs == 0 {
			most = append(most, member{f.Name, v})
		}
	}
	return least, most, nulls
}

func addGroup(m members, name string, group members) members {
	if len(group) == 0 {
		return m
	}
	return append(m, member{name, group})
}

// lower writes a bound that no value is below, nil if there is none that JSON
// can say. v is in Iceberg's single-value serialization.
func lower(t arrow.DataType, v []byte) json.RawMessage { return bound(t, v, false) }

// upper is lower for a bound that no value is above.
func upper(t arrow.DataType, v []byte) json.RawMessage { return bound(t, v, true) }

func bound(t arrow.DataType, v []byte, up bool) json.RawMessage {
	if v == nil {
		return nil
	}
	switch t := t.(type) {
	case *arrow.BooleanType:
		// Spark neither writes nor reads these. deltalake takes a column that has
		// a count of nulls and no bounds for one that no value passes a filter of.
		return strconv.AppendBool(nil, v[0] != 0)
	case *arrow.Int32Type:
		return strconv.AppendInt(nil, int64(int32(binary.LittleEndian.Uint32(v))), 10)
	case *arrow.Int64Type:
		return strconv.AppendInt(nil, int64(binary.LittleEndian.Uint64(v)), 10)
	case *arrow.Float32Type:
		return floatBound(float64(math.Float32frombits(binary.LittleEndian.Uint32(v))), 32)
	case *arrow.Float64Type:
		return floatBound(math.Float64frombits(binary.LittleEndian.Uint64(v)), 64)
	case *arrow.StringType:
		return stringBound(string(v), up)
	case *arrow.Decimal128Type:
		return decimalBound(v, t, up)
	case *arrow.Date32Type:
		days := int64(int32(binary.LittleEndian.Uint32(v)))
		return timeBound(time.Unix(days*24*60*60, 0), time.DateOnly)
	case *arrow.TimestampType:
		ms := floorDiv(int64(binary.LittleEndian.Uint64(v)), 1000)
		if up && ms*1000 != int64(binary.LittleEndian.Uint64(v)) {
			ms++
		}
		layout := "2006-01-02T15:04:05.000"
		if t.TimeZone != "" {
			layout += "Z"
		}
		return timeBound(time.UnixMilli(ms), layout)
	}
	return nil // binary has no bounds in Delta
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func timeBound(t time.Time, layout string) json.RawMessage {
	t = t.UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		return nil
	}
	return quote(t.Format(layout))
}

func floatBound(f float64, bits int) json.RawMessage {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return nil
	}
	return strconv.AppendFloat(nil, f, 'g', -1, bits)
}

// decimalBound rounds long decimals away from the values: by one more than the last
// digit that is kept, so that the bound holds for readers of doubles too.
func decimalBound(v []byte, t *arrow.Decimal128Type, up bool) json.RawMessage {
	n := new(big.Int).SetBytes(v)
	if v[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(v))))
	}
	if over := digitsOf(n) - exactDigits; over > 0 {
		unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(over+1)), nil)
		n.Div(n, unit) // down, for what is negative too
		if up {
			n.Add(n, big.NewInt(2))
		} else {
			n.Sub(n, big.NewInt(1))
		}
		n.Mul(n, unit)
		if digitsOf(n) > int(t.Precision) {
			return nil // which readers could not parse
		}
	}
	return json.RawMessage(decimalDigits(n, int(t.Scale)))
}

func digitsOf(n *big.Int) int { return len(new(big.Int).Abs(n).String()) }

// decimalDigits writes an unscaled value as a decimal.
func decimalDigits(n *big.Int, scale int) string {
	digits := new(big.Int).Abs(n).String()
	if pad := scale + 1 - len(digits); pad > 0 {
		digits = strings.Repeat("0", pad) + digits
	}
	if scale > 0 {
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if n.Sign() < 0 {
		digits = "-" + digits
	}
	return digits
}

// stringBound cuts a long string. A prefix is a lower bound; for an upper one
// it gets the greatest character that can follow.
func stringBound(s string, up bool) json.RawMessage {
	if !utf8.ValidString(s) {
		return nil
	}
	n := 0
	for i, r := range s {
		if n == statsRunes {
			if !up {
				return quote(s[:i])
			}
			if r == utf8.MaxRune {
				return nil
			}
			return quote(s[:i] + string(utf8.MaxRune))
		}
		n++
	}
	return quote(s)
}

func quote(s string) json.RawMessage {
	text, err := json.Marshal(s)
	if err != nil {
		return nil
	}
	return text
}
