package protobuf

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// everyText has every kind of field in every cardinality. Its enums are open
// and nothing in it has a range, so that protobuf-go accepts exactly what we do.
const everyText = `syntax = "proto3";
package every;
import "google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto";
enum Color { RED = 0; GREEN = 1; BLUE = 5; MINUS = -3; }
message Inner { int32 a = 1; string b = 2; repeated int64 c = 3; Inner again = 4; oneof pick { Leaf leaf = 5; bool flag = 6; } }
message Leaf { uint64 x = 1; optional double y = 2000; }
message All {
  bool f_bool = 1; int32 f_int32 = 2; sint32 f_sint32 = 3; uint32 f_uint32 = 4;
  int64 f_int64 = 5; sint64 f_sint64 = 6; uint64 f_uint64 = 7;
  fixed32 f_fixed32 = 8; sfixed32 f_sfixed32 = 9; fixed64 f_fixed64 = 10; sfixed64 f_sfixed64 = 11;
  float f_float = 12; double f_double = 13; string f_string = 14; bytes f_bytes = 15;
  Color f_enum = 16; Inner f_msg = 17;
  optional bool o_bool = 21; optional sint32 o_sint32 = 23; optional uint64 o_uint64 = 27;
  optional float o_float = 32; optional string o_string = 34; optional bytes o_bytes = 35; optional Color o_enum = 36;
  repeated bool r_bool = 41; repeated int32 r_int32 = 42; repeated sint64 r_sint64 = 46 [packed = false];
  repeated fixed32 r_fixed32 = 48; repeated double r_double = 53; repeated string r_string = 54;
  repeated Color r_enum = 56; repeated Inner r_msg = 57;
  map<string, int32> m_string = 61; map<int32, string> m_int32 = 62; map<bool, bytes> m_bool = 63;
  map<fixed64, Leaf> m_msg = 64; map<sint64, Color> m_enum = 65;
  oneof choice { string c_string = 71; int64 c_int64 = 72; Leaf c_leaf = 73; Color c_enum = 74; Inner c_inner = 75; }
  google.protobuf.StringValue w_string = 81; google.protobuf.UInt32Value w_uint32 = 82;
  google.protobuf.BytesValue w_bytes = 83; repeated google.protobuf.Int64Value w_list = 84;
  google.protobuf.Struct s_struct = 91; google.protobuf.Value s_value = 92; repeated google.protobuf.Value s_list = 93;
  string far = 100000;
}
`

// rangedText has the messages whose values have a range, and timeless ones.
const rangedText = `syntax = "proto3";
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/type/date.proto";
import "google/type/timeofday.proto";
message Times {
  google.protobuf.Timestamp at = 1; repeated google.protobuf.Timestamp list = 2;
  google.protobuf.Duration took = 3; map<string, google.protobuf.Duration> by = 4;
  google.type.Date day = 5; google.type.TimeOfDay clock = 6;
  oneof o { google.protobuf.Timestamp start = 7; google.protobuf.Duration wait = 8; }
  Times again = 9;
}
`

// filler fills messages at random.
type filler struct {
	*rand.Rand
	known bool // enums have only constants that they know
}

func (r filler) message(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	switch m.Descriptor().FullName() {
	case "google.protobuf.Timestamp":
		r.clock(m, minTimestamp, maxTimestamp)
		return
	case "google.protobuf.Duration":
		r.clock(m, 0, 9_000_000_000)
		return
	case "google.type.Date":
		t := time.Unix(r.Int64N(maxTimestamp), 0).UTC()
		r.set(m, int32(t.Year()), int32(t.Month()), int32(t.Day()))
		return
	case "google.type.TimeOfDay":
		r.set(m, r.Int32N(24), r.Int32N(60), r.Int32N(60), r.Int32N(nanosPerSecond))
		return
	case "google.protobuf.Value":
		fd := fields.Get(r.IntN(fields.Len() - min(depth/3, 1)*2))
		m.Set(fd, r.value(m.NewField(fd), fd, depth))
		return
	}
	for i := range fields.Len() {
		fd := fields.Get(i)
		if r.IntN(3) == 0 || fd.Message() != nil && depth > 5 {
			continue
		}
		switch {
		case fd.IsMap():
			for range r.IntN(4) {
				mv := m.Mutable(fd).Map()
				mv.Set(r.value(protoreflect.Value{}, fd.MapKey(), depth).MapKey(), r.value(mv.NewValue(), fd.MapValue(), depth))
			}
		case fd.IsList():
			for range r.IntN(4) {
				l := m.Mutable(fd).List()
				l.Append(r.value(l.NewElement(), fd, depth))
			}
		default:
			m.Set(fd, r.value(m.NewField(fd), fd, depth))
		}
	}
}

func (r filler) clock(m protoreflect.Message, lo, hi int64) {
	m.Set(m.Descriptor().Fields().Get(0), protoreflect.ValueOfInt64(lo+r.Int64N(hi-lo)))
	m.Set(m.Descriptor().Fields().Get(1), protoreflect.ValueOfInt32(r.Int32N(nanosPerSecond)))
}

func (r filler) set(m protoreflect.Message, values ...int32) {
	for i, v := range values {
		m.Set(m.Descriptor().Fields().Get(i), protoreflect.ValueOfInt32(v))
	}
}

// value makes one value; fresh is an empty message to fill.
func (r filler) value(fresh protoreflect.Value, fd protoreflect.FieldDescriptor, depth int) protoreflect.Value {
	n := r.Uint64() >> (r.UintN(64))
	if r.IntN(4) == 0 {
		n = 0
	}
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n&1 == 1)
	case protoreflect.EnumKind:
		if values := fd.Enum().Values(); r.known {
			return protoreflect.ValueOfEnum(values.Get(r.IntN(values.Len())).Number())
		}
		return protoreflect.ValueOfEnum([]protoreflect.EnumNumber{0, 1, 5, -3, 77}[r.IntN(5)])
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(n)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(r.Float32() * float32(int32(n)))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(r.NormFloat64() * float64(n))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(strings.Repeat([]string{"", "a", "é\"\\\n", "日本", "\x01 "}[r.IntN(5)], r.IntN(4)))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(strings.Repeat("\xff\x00b", r.IntN(3))))
	}
	r.message(fresh.Message(), depth+1)
	return fresh
}

// wantRow is the row that a message must become, as JSON values: the type
// mapping written a second time, over reflection.
func wantRow(m protoreflect.Message, path []protoreflect.FullName) map[string]any {
	path = append(slices.Clone(path), m.Descriptor().FullName())
	row := make(map[string]any)
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		v := m.Get(fd)
		switch {
		case fd.IsMap():
			entries := make([]any, 0)
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				entries = append(entries, map[string]any{"key": wantValue(fd.MapKey(), k.Value(), path), "value": wantValue(fd.MapValue(), v, path)})
				return true
			})
			row[string(fd.Name())] = entries
		case fd.IsList():
			list := make([]any, 0)
			for j := range v.List().Len() {
				list = append(list, wantValue(fd, v.List().Get(j), path))
			}
			row[string(fd.Name())] = list
		case fd.HasPresence() && !m.Has(fd):
			row[string(fd.Name())] = nil
		default:
			row[string(fd.Name())] = wantValue(fd, v, path)
		}
	}
	return row
}

func wantValue(fd protoreflect.FieldDescriptor, v protoreflect.Value, path []protoreflect.FullName) any {
	switch fd.Kind() {
	case protoreflect.EnumKind:
		if c := fd.Enum().Values().ByNumber(v.Enum()); c != nil {
			return string(c.Name())
		}
		return strconv.Itoa(int(v.Enum()))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return strconv.FormatUint(v.Uint(), 10)
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return wantMessage(v.Message(), path)
	case protoreflect.BytesKind:
		return "bytes " + base64.StdEncoding.EncodeToString(v.Bytes())
	}
	if f, ok := v.Interface().(float32); ok && f-f != 0 {
		return strconv.FormatFloat(float64(f), 'g', -1, 32) // NaN and the infinities are text
	}
	if f, ok := v.Interface().(float64); ok && f-f != 0 {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return v.Interface()
}

func wantMessage(m protoreflect.Message, path []protoreflect.FullName) any {
	number := func(i int) int64 { return m.Get(m.Descriptor().Fields().Get(i)).Int() }
	switch name := m.Descriptor().FullName(); {
	case name == "google.protobuf.Timestamp":
		return time.Unix(number(0), number(1)).UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano)
	case name == "google.protobuf.Duration":
		return number(0)*nanosPerSecond + number(1)
	case name == "google.type.Date":
		return fmt.Sprintf("%04d-%02d-%02d", number(0), number(1), number(2))
	case name == "google.type.TimeOfDay":
		return fmt.Sprintf("%02d:%02d:%02d.%06d", number(0), number(1), number(2), number(3)/1000)
	case slices.Contains(path, name), name == "google.protobuf.Struct", name == "google.protobuf.Value", name == "google.protobuf.ListValue":
		b, err := protojson.Marshal(m.Interface())
		if err != nil {
			return "unsaid" // protojson has no text for a Value without kind; ours is null
		}
		return "JSON " + string(b)
	case m.Descriptor().ParentFile().Path() == "google/protobuf/wrappers.proto":
		fd := m.Descriptor().Fields().Get(0)
		return wantValue(fd, m.Get(fd), path)
	}
	return wantRow(m, path)
}

// same compares a decoded row with the wanted one, over JSON. Map entries are
// sets; texts that hold JSON are compared as JSON.
func same(t *testing.T, got string, want any) bool {
	t.Helper()
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	return alike(parseJSON(t, got), parseJSON(t, string(b)))
}

func parseJSON(t *testing.T, text string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func alike(got, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for k := range w {
			if !alike(g[k], w[k]) {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		if len(w) > 0 && isEntry(w[0]) {
			return alikeSets(g, w)
		}
		for i := range w {
			if !alike(g[i], w[i]) {
				return false
			}
		}
		return true
	case string:
		g, ok := got.(string)
		if text, isJSON := strings.CutPrefix(w, "JSON "); ok && isJSON {
			var a, b any
			return json.Unmarshal([]byte(g), &a) == nil && json.Unmarshal([]byte(text), &b) == nil && reflect.DeepEqual(a, b)
		}
		if text, isBytes := strings.CutPrefix(w, "bytes "); isBytes {
			return g == text && (ok || got == nil) // Arrow prints empty bytes as "" or null
		}
		return ok && g == w || ok && sameTime(g, w) || ok && w == "unsaid" && json.Valid([]byte(g))
	case json.Number:
		g, ok := got.(json.Number)
		a, _ := g.Float64()
		b, _ := w.Float64()
		return ok && (g == w || a == b && strings.ContainsAny(w.String()+g.String(), ".e"))
	}
	return reflect.DeepEqual(got, want)
}

// sameTime compares times of day, which Arrow prints with as many digits as it
// needs.
func sameTime(a, b string) bool {
	x, err := time.Parse("15:04:05.999999", a)
	y, err2 := time.Parse("15:04:05.999999", b)
	return err == nil && err2 == nil && x.Equal(y)
}

func isEntry(v any) bool {
	m, ok := v.(map[string]any)
	_, key := m["key"]
	return ok && key && len(m) == 2
}

func alikeSets(got, want []any) bool {
	for _, w := range want {
		if !slices.ContainsFunc(got, func(g any) bool { return alike(g, w) }) {
			return false
		}
	}
	return true
}
