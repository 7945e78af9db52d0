package rules

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/language"
)

const (
	orderAvro = `{"type":"record","name":"Order","namespace":"shop","fields":[
		{"name":"id","type":"long"},{"name":"note","type":["null","string"]},
		{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
		{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":6,"scale":2}},
		{"name":"tags","type":{"type":"array","items":"string"}},
		{"name":"by","type":{"type":"record","name":"By","fields":[{"name":"mail","type":"string"}]}},
		{"name":"kind","type":{"type":"enum","name":"K","symbols":["A","B"]}}]}`
	orderJSON  = `{"type":"object","properties":{"n":{"type":"integer"},"mail":{"type":"string"},"list":{"type":"array"}}}`
	orderProto = `syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
message Order { int64 id = 1; string mail = 2; repeated string tags = 3; map<string, int64> counts = 4; google.protobuf.Timestamp at = 5; Kind kind = 6; }
enum Kind { NONE = 0; GIFT = 1; }
`
	checkedProto = `syntax = "proto3";
package shop;
import "buf/validate/validate.proto";
message User {
  string mail = 1 [(buf.validate.field).string.email = true];
  int32 age = 2 [(buf.validate.field).int32 = {gte: 18}];
  string first = 3;
  Inner inner = 4;
  option (buf.validate.message).cel = {id: "user.first", message: "first is not mail", expression: "this.first != this.mail"};
}
message Inner { string code = 1 [(buf.validate.field).string.len = 3]; }
message Broken { string s = 1 [(buf.validate.field).cel = {id: "x", expression: "this.nothing("}]; }
`
)

// payload of orderAvro: id 7, no note, 1970-01-01T00:00:01Z, 12.34, [x], mail, B
var orderPayload = []byte{14, 0, 0xd0, 0x0f, 4, 0x04, 0xd2, 2, 2, 'x', 0, 6, 'a', '@', 'b', 2}

func parse(t testing.TB, typ schema.Type, text string) schema.Schema {
	t.Helper()
	s, err := language.Parse(schema.Source{Type: typ, Text: text})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func writes(exprs ...string) *schema.RuleSet {
	set := &schema.RuleSet{}
	for i, e := range exprs {
		set.DomainRules = append(set.DomainRules, schema.Rule{Name: fmt.Sprint("r", i), Kind: "CONDITION", Mode: "WRITE", Type: "CEL", Expr: e})
	}
	return set
}

// TestConditions runs one condition on a payload of each language: "" keeps it.
func TestConditions(t *testing.T) {
	json := []byte(`{"n":5,"mail":"a@example.com","list":[1,2.5,"x"]}`)
	proto := append([]byte{8, 7, 18, 13}, "a@example.com"...)
	proto = append(proto, 0x1a, 1, 'x', 0x22, 5, 10, 1, 'k', 16, 9, 0x2a, 2, 8, 1, 48, 1)
	grow := "[message.list]" + strings.Repeat(".map(x, x + x)", 60) + ".all(x, size(x) > 0)"
	nested := "message.list.all(a, [1,2,3,4,5,6,7,8,9].all(b, " + strings.Repeat("message.list.all(c, ", 8) + "true" + strings.Repeat(")", 10)
	tests := []struct {
		typ     schema.Type
		text    string
		payload []byte
		expr    string
		want    string
	}{
		{schema.Avro, orderAvro, orderPayload, "message.id == 7 && message.note == null", ""},
		{schema.Avro, orderAvro, orderPayload, "message.id > 7", "message.id > 7"},
		{schema.Avro, orderAvro, orderPayload, "message.price > 12.3 && message.price < 12.35", ""},
		{schema.Avro, orderAvro, orderPayload, "message.at == timestamp('1970-01-01T00:00:01Z') && message.at < now", ""},
		{schema.Avro, orderAvro, orderPayload, "size(message.tags) == 1 && message.tags[0] == 'x' && message.kind == 'B'", ""},
		{schema.Avro, orderAvro, orderPayload, "message.by.mail.isEmail()", ""},
		{schema.Avro, orderAvro, orderPayload, "message.nothing == 1", "it cannot be run: no such key: nothing"},
		{schema.Avro, orderAvro, orderPayload, "message.id", "it cannot be run: it gives int"},
		{schema.Avro, orderAvro, orderPayload, "message.id == ", "it cannot be run: CEL: ERROR:"},
		{schema.Avro, orderAvro, orderPayload, "message.id > 7 ? '' : 'the id is too low'", "the id is too low"},
		{schema.Avro, orderAvro, orderPayload, "message.id < 8 ? '' : 'the id is too high'", ""},
		{schema.Avro, orderAvro, orderPayload, "message.kind == 'A' ; message.id > 100", ""},
		{schema.Avro, orderAvro, orderPayload, "message.kind == 'B' ; message.id > 100", "message.kind == 'B' ; message.id > 100"},
		{schema.Avro, orderAvro, orderPayload, "message.kind != ';'", ""},
		{schema.Avro, `"string"`, []byte{6, 'a', 'b', 'c'}, "message.startsWith('ab') && message.upperAscii() == 'ABC'", ""},
		{schema.JSON, orderJSON, json, "message.n == 5 && has(message.mail) && !has(message.nothing)", ""},
		{schema.JSON, orderJSON, json, "message.list[1] > 2 && message.list.exists(x, x == 'x')", ""},
		{schema.JSON, orderJSON, json, "message.n > 5", "message.n > 5"},
		{schema.JSON, orderJSON, json, grow, "it cannot be run: it adds values up to"},
		{schema.JSON, orderJSON, json, nested, "it cannot be run: operation cancelled: actual cost limit exceeded"},
		{schema.JSON, orderJSON, []byte(`{"mail":"10.0.0.1"}`), "message.mail.isIpv4() && !message.mail.isIpv6() && !message.mail.isUuid()", ""},
		{schema.Protobuf, orderProto, proto, "message.id == 7 && message.mail.isEmail() && message.tags == ['x']", ""},
		{schema.Protobuf, orderProto, proto, "message.counts['k'] == 9 && message.at == timestamp('1970-01-01T00:00:01Z')", ""},
		{schema.Protobuf, orderProto, proto, "message.kind == shop.Kind.GIFT", ""},
		{schema.Protobuf, orderProto, proto, "message.id > 7", "message.id > 7"},
		{schema.Protobuf, orderProto, nil, "message.id == 0 && !has(message.at)", ""},
	}
	for _, tt := range tests {
		s := parse(t, tt.typ, tt.text)
		d, err := s.Decoder(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Validate(tt.payload); err != nil {
			t.Fatalf("%s: %v", tt.expr, err)
		}
		c := Compile(s, nil, writes(tt.expr), nil)
		costs := c.Costs()
		bad := c.Check(tt.payload, costs)
		switch {
		case tt.want == "" && bad == nil:
		case tt.want == "" || bad == nil || bad.Rule != "r0" || !strings.HasPrefix(bad.Message, tt.want):
			t.Errorf("%s %.60s: got %+v, want %q", tt.typ, tt.expr, bad, tt.want)
		}
		if costs[0].Records != 1 || costs[1].Records != 1 || (costs[0].Violations == 1) != (bad != nil) {
			t.Errorf("%s: costs %+v", tt.expr, costs)
		}
	}
}

// TestProtovalidate runs annotations.
func TestProtovalidate(t *testing.T) {
	s := parse(t, schema.Protobuf, checkedProto)
	user := func(mail string, age byte, first, code string) []byte {
		b := append([]byte{10, byte(len(mail))}, mail...)
		b = append(b, 16, age, 26, byte(len(first)))
		b = append(append(b, first...), 34, byte(2+len(code)), 10, byte(len(code)))
		return append(b, code...)
	}
	for _, tt := range []struct {
		payload    []byte
		path, want string
	}{
		{user("a@b.de", 20, "Ann", "abc"), "", ""},
		{user("ab.de", 20, "Ann", "abc"), "$.mail", "must be a valid email address"},
		{user("a@b.de", 17, "Ann", "abc"), "$.age", "greater than or equal to 18"},
		{user("a@b.de", 20, "a@b.de", "abc"), "", "first is not mail (user.first)"},
		{user("a@b.de", 20, "Ann", "ab"), "$.inner.code", "3 characters"},
	} {
		c := Compile(s, nil, nil, nil)
		bad := c.Check(tt.payload, c.Costs())
		switch {
		case tt.want == "" && bad == nil:
		case tt.want == "" || bad == nil || bad.Rule != "protovalidate" || bad.Path != tt.path || !strings.Contains(bad.Message, tt.want):
			t.Errorf("%q: got %+v, want %s %q", tt.payload, bad, tt.path, tt.want)
		}
	}
	broken := Compile(s, []int{2}, nil, nil)
	if bad := broken.Check(nil, broken.Costs()); bad == nil || !strings.Contains(bad.Message, "it cannot be run") {
		t.Errorf("a broken annotation: %+v", bad)
	}
	if !Compile(parse(t, schema.Protobuf, orderProto), nil, nil, nil).Empty() {
		t.Error("a schema without annotations has a check")
	}
}

// TestIdle lists what is not run, and why.
func TestIdle(t *testing.T) {
	condition := schema.Rule{Kind: "CONDITION", Mode: "WRITE", Type: "CEL", Expr: "false"}
	with := func(change func(*schema.Rule)) schema.Rule { r := condition; change(&r); return r }
	set := &schema.RuleSet{
		DomainRules: []schema.Rule{
			with(func(r *schema.Rule) { r.Name, r.Disabled = "off", true }),
			with(func(r *schema.Rule) { r.Name, r.Mode = "read", "READ" }),
			with(func(r *schema.Rule) { r.Name, r.Type = "field", "CEL_FIELD" }),
			with(func(r *schema.Rule) { r.Name, r.Kind = "transform", "TRANSFORM" }),
			with(func(r *schema.Rule) { r.Name, r.OnFailure = "mild", "NONE" }),
			with(func(r *schema.Rule) { r.Name, r.Mode, r.OnFailure = "both", "WRITEREAD", "ERROR,NONE" }),
		},
		EncodingRules:  []schema.Rule{with(func(r *schema.Rule) { r.Name, r.Type, r.Kind = "secret", "ENCRYPT_PAYLOAD", "TRANSFORM" })},
		MigrationRules: []schema.Rule{with(func(r *schema.Rule) { r.Name, r.Mode = "old", "UPGRADE" })},
	}
	s := parse(t, schema.JSON, `true`)
	c := Compile(s, nil, set, nil)
	var got []string
	for _, r := range c.Rules() {
		got = append(got, fmt.Sprintf("%s:%s:%v", r.Name, r.Idle, r.Advisory))
	}
	want := "off:it is disabled:false read:it is not about writing:false field::false " +
		"transform:what transforms is the client's: the broker does not change payloads:false mild::true both::false secret:rules of this type are the client's:false"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
	// An advisory rule does not hide the one behind it.
	if bad := c.Check([]byte(`1`), c.Costs()); bad == nil || bad.Rule != "both" || bad.Advisory {
		t.Errorf("got %+v", bad)
	}
	set.DomainRules = set.DomainRules[:5]
	if c = Compile(s, nil, set, nil); c.Check([]byte(`1`), c.Costs()) == nil || !c.Check([]byte(`1`), c.Costs()).Advisory {
		t.Error("the advisory rule is not heard")
	}
	if bad := c.Check(make([]byte, MaxPayload+1), c.Costs()); bad == nil || !strings.Contains(bad.Message, "at most") {
		t.Errorf("too large: %+v", bad)
	}
}

// TestValue reads an Avro payload whole.
func TestValue(t *testing.T) {
	c := Compile(parse(t, schema.Avro, orderAvro), nil, nil, nil)
	got, err := c.read(orderPayload)
	want := map[string]any{
		"id": int64(7), "note": nil, "at": time.Unix(1, 0).UTC(), "price": 12.34, "tags": []any{"x"},
		"by": map[string]any{"mail": "a@b"}, "kind": "B",
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, %v", got, err)
	}
}

// FuzzCheck reads what validation has let through, in three languages: nothing
// may panic, and what is read at all is judged.
func FuzzCheck(f *testing.F) {
	f.Add(0, orderPayload)
	f.Add(1, []byte(`{"n":1e400}`))
	f.Add(2, []byte{8, 7, 0x22, 4, 8, 1, 16, 9})
	f.Add(2, []byte{0x22, 3, 0x0d, 1, 2})
	all := []schema.Schema{parse(f, schema.Avro, orderAvro), parse(f, schema.JSON, orderJSON), parse(f, schema.Protobuf, orderProto)}
	checkers := make([]*Checker, len(all))
	for i, s := range all {
		checkers[i] = Compile(s, nil, writes("message != null"), nil)
	}
	f.Fuzz(func(t *testing.T, at int, payload []byte) {
		at = int(uint(at) % uint(len(all)))
		d, err := all[at].Decoder(nil)
		if err != nil {
			t.Fatal(err)
		}
		if d.Validate(payload) != nil {
			_, _ = checkers[at].read(payload) // may fail, and no more
			return
		}
		if bad := checkers[at].Check(payload, checkers[at].Costs()); bad != nil && at == 0 {
			t.Errorf("got %+v", bad)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	for _, bm := range []struct {
		name    string
		s       schema.Schema
		set     *schema.RuleSet
		payload []byte
	}{
		{"avro condition", parse(b, schema.Avro, orderAvro), writes("message.id > 0 && message.price > 0.0"), orderPayload},
		{"json condition", parse(b, schema.JSON, orderJSON), writes("message.n > 0"), []byte(`{"n":5,"mail":"a@example.com"}`)},
		{"protovalidate", parse(b, schema.Protobuf, checkedProto), nil, append([]byte{16, 20, 26, 1, 'x', 10, 6}, "a@b.de"...)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			c := Compile(bm.s, nil, bm.set, nil)
			costs := c.Costs()
			b.ReportAllocs()
			for b.Loop() {
				if bad := c.Check(bm.payload, costs); bad != nil {
					b.Fatal(bad)
				}
			}
		})
	}
}
