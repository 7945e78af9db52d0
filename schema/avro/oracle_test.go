package avro

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	oracle "github.com/twmb/avro"

	"github.com/tarn-io/tarn/schema"
)

// stricter are the expectations of ours that the oracle does not have: it takes
// any byte as a boolean, strings that are no UTF-8, and blocks whatever size
// they say; and it looks at no logical type, since it is given none.
var stricter = []string{"boolean", "string in UTF-8", "end of the block", "size of a block", "decimal", "within a day", "within 64-bit microseconds"}

// TestOracle compares decoder and oracle on random schemas and payloads, whole
// and spoiled: both accept or both refuse, and what they decode is the same.
func TestOracle(t *testing.T) {
	accepted, refused := 0, 0
	for seed := range uint64(400) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
		text := g.record(0)
		s := mustParse(t, text)
		d, err := s.Decoder(nil)
		if err != nil {
			t.Fatalf("seed %d: %s: %v", seed, text, err)
		}
		o, err := oracle.Parse(strings.NewReplacer(`"logicalType"`, `"ignored"`).Replace(text))
		if err != nil {
			t.Fatalf("seed %d: the oracle refuses %s: %v", seed, text, err)
		}
		rows, err := schema.NewRows(d.Columns())
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for i := range 40 {
			p := g.payload(nil, s.root, 0)
			if i >= 20 {
				p = g.spoil(p)
			}
			v, ok := compareOne(t, fmt.Sprintf("seed %d, payload %d", seed, i), text, d, o, p, rows)
			if ok {
				want = append(want, wantRecord(s.root, v))
				accepted++
			} else {
				refused++
			}
		}
		batch := rows.Batch()
		if int(batch.NumRows()) != len(want) {
			t.Fatalf("seed %d: %d rows, want %d", seed, batch.NumRows(), len(want))
		}
		for _, c := range batch.Columns() {
			if err := array.ValidateFull(c); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		for i := range want {
			if got := gotRecord(s.root, batch, i); got != want[i] {
				t.Fatalf("seed %d, %s\nrow %d\ngot  %s\nwant %s", seed, text, i, got, want[i])
			}
		}
	}
	if accepted < 8000 || refused < 2000 {
		t.Errorf("%d accepted and %d refused: too few to mean much", accepted, refused)
	}
}

// compareOne decodes p with both; ok if both accept.
func compareOne(t *testing.T, label, text string, d schema.Decoder, o *oracle.Schema, p []byte, rows *schema.Rows) (v any, ok bool) {
	t.Helper()
	rest, oracleErr := o.Decode(p, &v, oracle.TaggedUnions())
	if oracleErr == nil && len(rest) > 0 {
		oracleErr = fmt.Errorf("%d bytes left", len(rest))
	}
	before := rows.Len()
	err := d.Decode(p, rows)
	if valid := d.Validate(p); (valid == nil) != (err == nil) || err != nil && valid.Error() != err.Error() {
		t.Fatalf("%s: Validate says %v, Decode %v", label, valid, err)
	}
	if err == nil && oracleErr == nil {
		return v, true
	}
	if err == nil {
		t.Fatalf("%s: %s\n%x: the oracle refuses: %v", label, text, p, oracleErr)
	}
	if rows.Len() != before {
		t.Fatalf("%s: a refused payload made a row", label)
	}
	var bad *schema.Invalid
	if !errors.As(err, &bad) {
		t.Fatalf("%s: %s\n%x: not a refusal: %v", label, text, p, err)
	}
	expected := bad.Expected
	if oracleErr == nil && !slices.ContainsFunc(stricter, func(s string) bool { return strings.Contains(expected, s) }) {
		t.Fatalf("%s: %s\n%x: the oracle accepts, we refuse: %v", label, text, p, err)
	}
	return nil, false
}

// The two sides are written out as text, each from its own form.

func wantRecord(t *typ, v any) string { return want(t, v, nil, false) }

func gotRecord(t *typ, b arrow.RecordBatch, i int) string {
	var parts []string
	for k, f := range t.fields {
		parts = append(parts, f.name+"="+got(f.typ, b.Column(k), i, []string{t.name.String()}))
	}
	return "{" + strings.Join(parts, " ") + "}"
}

// want writes the oracle's value; text says that it stands inside JSON text.
func want(t *typ, v any, open []string, text bool) string {
	switch t.kind {
	case kindRecord:
		if slices.Contains(open, t.name.String()) {
			return jsonOf(natural(t, v))
		}
		open = append(slices.Clip(open), t.name.String())
		var parts []string
		for _, f := range t.fields {
			parts = append(parts, f.name+"="+want(f.typ, v.(map[string]any)[f.name], open, text))
		}
		return "{" + strings.Join(parts, " ") + "}"
	case kindArray:
		var parts []string
		for _, item := range v.([]any) {
			parts = append(parts, want(t.elem, item, open, text))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case kindMap:
		m := v.(map[string]any)
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(m)) {
			parts = append(parts, k+":"+want(t.elem, m[k], open, text))
		}
		return "<" + strings.Join(parts, " ") + ">"
	case kindUnion:
		if v == nil {
			return "null"
		}
		i, inner := branchOf(t, v)
		if len(t.types) == 2 && slices.ContainsFunc(t.types, func(b *typ) bool { return b.kind == kindNull }) {
			return want(t.types[i], inner, open, text)
		}
		return branchNames(t.types)[i] + "!" + want(t.types[i], inner, open, text)
	}
	return leafText(t, v)
}

// branchOf finds the branch of a tagged union value.
func branchOf(t *typ, v any) (int, any) {
	for name, inner := range v.(map[string]any) {
		for i, b := range t.types {
			if b.fullName() == name {
				return i, inner
			}
		}
	}
	panic(fmt.Sprintf("no branch for %v", v))
}

// leafText writes a value as the type mapping says.
func leafText(t *typ, v any) string {
	switch x := v.(type) {
	case int32:
		if t.logical == "time-millis" {
			return strconv.FormatInt(int64(x)*1000, 10)
		}
	case int64:
		switch t.logical {
		case "timestamp-millis", "local-timestamp-millis":
			x *= 1000
		case "local-timestamp-nanos":
			x = int64(math.Floor(float64(x%1000)/1000)) + x/1000
		}
		return strconv.FormatInt(x, 10)
	case float32:
		return strconv.FormatUint(uint64(math.Float32bits(x)), 16)
	case float64:
		return strconv.FormatUint(math.Float64bits(x), 16)
	case []byte:
		return bytesText(t, x)
	}
	return fmt.Sprint(v)
}

func bytesText(t *typ, b []byte) string {
	switch t.logical {
	case "decimal":
		n := new(big.Int).SetBytes(b)
		if b[0] >= 0x80 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
		if t.precision > 38 {
			return decimalWords(n, t.scale)
		}
		return n.String()
	case "duration":
		return fmt.Sprint(binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:]))
	}
	return fmt.Sprintf("%x", b)
}

// decimalWords is n / 10^scale by big.Rat.
func decimalWords(n *big.Int, scale int) string {
	return new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)).FloatString(scale)
}

// got writes a column's value.
func got(t *typ, a arrow.Array, i int, open []string) string {
	if a.IsNull(i) {
		return "null"
	}
	switch t.kind {
	case kindRecord:
		if s, ok := a.(*array.String); ok {
			return sortedJSON(s.Value(i))
		}
		open = append(slices.Clip(open), t.name.String())
		var parts []string
		for k, f := range t.fields {
			parts = append(parts, f.name+"="+got(f.typ, a.(*array.Struct).Field(k), i, open))
		}
		return "{" + strings.Join(parts, " ") + "}"
	case kindArray:
		l := a.(*array.List)
		from, to := l.ValueOffsets(i)
		var parts []string
		for k := from; k < to; k++ {
			parts = append(parts, got(t.elem, l.ListValues(), int(k), open))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case kindMap:
		m := a.(*array.Map)
		from, to := m.ValueOffsets(i)
		last := make(map[string]string)
		for k := from; k < to; k++ {
			key := m.Keys().(*array.String).Value(int(k))
			last[key] = key + ":" + got(t.elem, m.Items(), int(k), open)
		}
		return "<" + strings.Join(slices.Sorted(maps.Values(last)), " ") + ">"
	case kindUnion:
		return gotUnion(t, a, i, open)
	}
	return gotLeaf(a, i)
}

func gotUnion(t *typ, a arrow.Array, i int, open []string) string {
	s, ok := a.(*array.Struct)
	names := branchNames(t.types)
	if ok && len(s.DataType().(*arrow.StructType).Fields()) > 1 && len(t.types) > 2 {
		for k, f := range s.DataType().(*arrow.StructType).Fields() {
			if s.Field(k).IsValid(i) {
				b := slices.Index(names, f.Name)
				return f.Name + "!" + got(t.types[b], s.Field(k), i, open)
			}
		}
		return "no branch"
	}
	for _, b := range t.types {
		if b.kind != kindNull {
			return got(b, a, i, open)
		}
	}
	return "no branch"
}

func gotLeaf(a arrow.Array, i int) string {
	switch a := a.(type) {
	case *array.Boolean:
		return fmt.Sprint(a.Value(i))
	case *array.Int32:
		return fmt.Sprint(a.Value(i))
	case *array.Date32:
		return fmt.Sprint(int32(a.Value(i)))
	case *array.Int64:
		return fmt.Sprint(a.Value(i))
	case *array.Time64:
		return fmt.Sprint(int64(a.Value(i)))
	case *array.Timestamp:
		return fmt.Sprint(int64(a.Value(i)))
	case *array.Float32:
		return strconv.FormatUint(uint64(math.Float32bits(a.Value(i))), 16)
	case *array.Float64:
		return strconv.FormatUint(math.Float64bits(a.Value(i)), 16)
	case *array.String:
		return a.Value(i)
	case *array.Binary:
		return fmt.Sprintf("%x", a.Value(i))
	case *array.FixedSizeBinary:
		return fmt.Sprintf("%x", a.Value(i))
	case *array.Decimal128:
		return a.Value(i).BigInt().String()
	case *array.Struct: // duration
		var parts []any
		for k := range 3 {
			parts = append(parts, a.Field(k).(*array.Int64).Value(i))
		}
		return fmt.Sprint(parts...)
	}
	panic(fmt.Sprintf("no text for %T", a))
}

// natural is the oracle's value in the form of our JSON text.
func natural(t *typ, v any) any {
	switch t.kind {
	case kindRecord:
		p := map[string]any{}
		for _, f := range t.fields {
			p[f.name] = natural(f.typ, v.(map[string]any)[f.name])
		}
		return p
	case kindArray:
		list := []any{}
		for _, item := range v.([]any) {
			list = append(list, natural(t.elem, item))
		}
		return list
	case kindMap:
		p := map[string]any{}
		for k, item := range v.(map[string]any) {
			p[k] = natural(t.elem, item)
		}
		return p
	case kindUnion:
		if v == nil {
			return nil
		}
		i, inner := branchOf(t, v)
		if len(t.types) > 2 || !slices.ContainsFunc(t.types, func(b *typ) bool { return b.kind == kindNull }) {
			return map[string]any{branchNames(t.types)[i]: natural(t.types[i], inner)}
		}
		return natural(t.types[i], inner)
	}
	return naturalLeaf(t, v)
}

func naturalLeaf(t *typ, v any) any {
	switch x := v.(type) {
	case int32:
		switch t.logical {
		case "date":
			return time.Date(1970, 1, 1+int(x), 0, 0, 0, 0, time.UTC).Format("2006-01-02")
		case "time-millis":
			return time.UnixMilli(int64(x)).UTC().Format("15:04:05.999")
		}
		return json.Number(fmt.Sprint(x))
	case int64:
		return naturalLong(t, x)
	case float32:
		return naturalFloat(float64(x), 32)
	case float64:
		return naturalFloat(x, 64)
	case []byte:
		switch t.logical {
		case "decimal":
			plain := *t
			plain.precision = 99
			return bytesText(&plain, x)
		case "duration":
			part := func(i int) uint32 { return binary.LittleEndian.Uint32(x[4*i:]) }
			return map[string]any{"months": part(0), "days": part(1), "millis": part(2)}
		}
		return base64.StdEncoding.EncodeToString(x)
	}
	return v
}

func naturalLong(t *typ, x int64) any {
	layout := "2006-01-02T15:04:05.999999999"
	if strings.HasPrefix(t.logical, "timestamp") {
		layout += "Z"
	}
	switch strings.TrimPrefix(t.logical, "local-") {
	case "time-micros":
		return time.UnixMicro(x).UTC().Format("15:04:05.999999")
	case "timestamp-millis":
		return time.UnixMilli(x).UTC().Format(layout)
	case "timestamp-micros":
		return time.UnixMicro(x).UTC().Format(layout)
	case "timestamp-nanos":
		at := time.Unix(0, x)
		if t.logical[0] == 'l' {
			at = at.Truncate(time.Microsecond)
		}
		return at.UTC().Format(layout)
	}
	return json.Number(fmt.Sprint(x))
}

func naturalFloat(x float64, bits int) any {
	switch {
	case math.IsNaN(x):
		return "NaN"
	case math.IsInf(x, 1):
		return "Infinity"
	case math.IsInf(x, -1):
		return "-Infinity"
	}
	return json.Number(strconv.FormatFloat(x, 'g', -1, bits))
}

// jsonOf writes members sorted, and so makes texts comparable.
func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func sortedJSON(text string) string {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return fmt.Sprintf("%v in %s", err, text)
	}
	return jsonOf(v)
}
