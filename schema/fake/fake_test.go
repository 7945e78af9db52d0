package fake_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	avrolib "github.com/twmb/avro"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/avro"
	"github.com/tarn-io/tarn/schema/fake"
	"github.com/tarn-io/tarn/schema/jsonschema"
	"github.com/tarn-io/tarn/schema/protobuf"
)

// documents is how many are made of each schema: what is left out or null in some is
// there in others.
const documents = 200

// clock is the time in tests.
func clock() time.Time { return time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC) }

func made(t *testing.T, src schema.Source, n int, o fake.Options) []string {
	t.Helper()
	o.Now = clock
	g, err := fake.New(src, o)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for range n {
		doc, err := g.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(doc) {
			t.Fatalf("not JSON: %s", doc)
		}
		out = append(out, string(doc))
	}
	return out
}

// TestAvro holds documents against the decoder, through the encoder that the command
// line uses.
func TestAvro(t *testing.T) {
	for name, text := range map[string]string{
		"word":    `"string"`,
		"order":   `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"order_id","type":"string"},{"name":"user_id","type":"long"},{"name":"amount","type":"double"},{"name":"coupon","type":["null","string"],"default":null},{"name":"created_at","type":{"type":"long","logicalType":"timestamp-millis"}}]}`,
		"logical": `{"type":"record","name":"L","fields":[{"name":"d","type":{"type":"int","logicalType":"date"}},{"name":"t","type":{"type":"int","logicalType":"time-millis"}},{"name":"u","type":{"type":"long","logicalType":"time-micros"}},{"name":"ts","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"id","type":{"type":"string","logicalType":"uuid"}},{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},{"name":"small","type":{"type":"fixed","name":"F","size":1,"logicalType":"decimal","precision":2,"scale":0}}]}`,
		"all":     `{"type":"record","name":"A","fields":[{"name":"b","type":"boolean"},{"name":"i","type":"int"},{"name":"f","type":"float"},{"name":"by","type":"bytes"},{"name":"fx","type":{"type":"fixed","name":"Four","size":4}},{"name":"e","type":{"type":"enum","name":"E","symbols":["X","Y"]}},{"name":"l","type":{"type":"array","items":"E"}},{"name":"m","type":{"type":"map","values":["null","double","Four"]}},{"name":"u","type":["int","string","E"]},{"name":"n","type":"null"}]}`,
		"tree":    `{"type":"record","name":"Node","namespace":"x.y","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","Node"]},{"name":"kids","type":{"type":"array","items":"x.y.Node"}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			src := schema.Source{Type: schema.Avro, Text: text}
			parsed, err := avro.Parse(src)
			if err != nil {
				t.Fatal(err)
			}
			check, err := parsed.Validator(nil)
			if err != nil {
				t.Fatal(err)
			}
			codec, err := avrolib.Parse(parsed.Canonical())
			if err != nil {
				t.Fatal(err)
			}
			for _, doc := range made(t, src, documents, fake.Options{Seed: 7}) {
				var v any
				if err := codec.DecodeJSON([]byte(doc), &v); err != nil {
					t.Fatalf("%s: %v", doc, err)
				}
				b, err := codec.AppendEncode(nil, v)
				if err == nil {
					err = check.Validate(b)
				}
				if err != nil {
					t.Fatalf("%s: %v", doc, err)
				}
			}
		})
	}
}

func TestProtobuf(t *testing.T) {
	const text = `syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message Ignored { bool x = 1; }
message User {
  string id = 1;
  string full_name = 2;
  optional int64 visits = 3;
  google.protobuf.Timestamp created_at = 4;
  repeated Address addresses = 5;
  map<string, double> scores = 6;
  map<bool, int32> flags = 7;
  oneof contact { string email = 8; string phone = 9; User parent = 10; }
  enum Plan { NONE = 0; FREE = 1; PLUS = 2; }
  Plan plan = 11;
  bytes raw = 12;
  google.protobuf.Int64Value count = 13;
  uint64 big = 14;
  message Address { string city = 1; string zip = 2; User owner = 3; }
}`
	src := schema.Source{Type: schema.Protobuf, Text: text}
	parsed, err := protobuf.Parse(src)
	if err != nil {
		t.Fatal(err)
	}
	index, ok := parsed.(*protobuf.Schema).Index("User")
	if !ok {
		t.Fatal("no User")
	}
	md, err := parsed.(*protobuf.Schema).Message(index)
	if err != nil {
		t.Fatal(err)
	}
	check, err := parsed.Validator(index)
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range made(t, src, documents, fake.Options{Seed: 3, Message: "User"}) {
		m := dynamicpb.NewMessage(md)
		if err := protojson.Unmarshal([]byte(doc), m); err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		b, err := proto.Marshal(m)
		if err == nil {
			err = check.Validate(b)
		}
		if err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
	}
	if _, err := fake.New(src, fake.Options{Message: "Nobody"}); err == nil {
		t.Error("a message that is not there was taken")
	}
}

func TestJSONSchema(t *testing.T) {
	for name, text := range map[string]string{
		"click":   `{"title":"Click","type":"object","properties":{"user_id":{"type":"string"},"page":{"type":"string"},"at":{"type":"string","format":"date-time"},"ms":{"type":"integer","minimum":0,"maximum":500}},"required":["user_id","page","at"],"additionalProperties":false}`,
		"narrow":  `{"type":"object","properties":{"n":{"type":"number","exclusiveMinimum":0,"maximum":0.5},"m":{"type":"integer","multipleOf":5,"minimum":11,"maximum":100},"k":{"const":"k"},"e":{"enum":[1,"two",null]},"s":{"type":"string","minLength":30,"maxLength":31},"a":{"type":"array","items":{"type":"boolean"},"minItems":6},"u":{"type":"string","format":"uuid"}},"required":["n","m","k","e","s","a","u"]}`,
		"unions":  `{"type":"object","properties":{"a":{"oneOf":[{"type":"null"},{"type":"string"}]},"b":{"anyOf":[{"type":"integer"},{"type":"object","properties":{"x":{"type":"string"}},"required":["x"]}]},"c":{"allOf":[{"type":"object","properties":{"p":{"type":"integer"}},"required":["p"]},{"properties":{"q":{"type":"string"}},"required":["q"]}]}},"required":["a","b","c"]}`,
		"refs":    `{"$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"$ref":"#/$defs/node"}},"required":["v"]}},"$ref":"#/$defs/node","$schema":"https://json-schema.org/draft/2020-12/schema"}`,
		"pattern": `{"type":"string","pattern":"^[A-Z]{3}$","examples":["ABC","XYZ"]}`,
		"any":     `true`,
		"map":     `{"type":"object","additionalProperties":{"type":"integer"},"minProperties":2}`,
	} {
		t.Run(name, func(t *testing.T) {
			src := schema.Source{Type: schema.JSON, Text: text}
			parsed, err := jsonschema.Parse(src)
			if err != nil {
				t.Fatal(err)
			}
			check, err := parsed.Validator(nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, doc := range made(t, src, documents, fake.Options{Seed: 11}) {
				if err := check.Validate([]byte(doc)); err != nil {
					t.Fatalf("%s: %v", doc, err)
				}
			}
		})
	}
}

// TestUnable looks at schemas that ask for what cannot be made.
func TestUnable(t *testing.T) {
	for _, src := range []schema.Source{
		{Type: schema.JSON, Text: `{"type":"string","pattern":"^[A-Z]{3}$"}`},
		{Type: schema.JSON, Text: `{"type":"array","minItems":1000000}`},
		{Type: schema.Avro, Text: `{"type":"fixed","name":"F","size":100000000}`},
		{Type: schema.Avro, Text: `{"type":"record","name":"R","fields":[{"name":"r","type":"R"}]}`},
	} {
		g, err := fake.New(src, fake.Options{})
		if err != nil {
			continue // refused as a schema
		}
		if doc, err := g.Next(); !errors.Is(err, fake.ErrUnable) {
			t.Errorf("%s: made %.80s, error %v", src.Text, doc, err)
		}
	}
}

// TestMeaning looks at what names of fields make of values, and that a seed gives the
// same again.
func TestMeaning(t *testing.T) {
	src := schema.Source{Type: schema.Avro, Text: `{"type":"record","name":"Order","fields":[{"name":"order_id","type":"string"},{"name":"userId","type":"string"},{"name":"email","type":"string"},{"name":"quantity","type":"int"},{"name":"created_at","type":"string"}]}`}
	first := made(t, src, 20, fake.Options{Seed: 5})
	if again := made(t, src, 20, fake.Options{Seed: 5}); !slices.Equal(first, again) {
		t.Error("the same seed gave other documents")
	}
	if other := made(t, src, 20, fake.Options{Seed: 6}); slices.Equal(first, other) {
		t.Error("another seed gave the same documents")
	}
	for i, doc := range first {
		var o struct {
			OrderID string `json:"order_id"`
			UserID  string `json:"userId"`
			Email   string
			At      time.Time `json:"created_at"`
			Number  int       `json:"quantity"`
		}
		if err := json.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("order-%06d", i+1); o.OrderID != want {
			t.Errorf("order_id is %q, want %q", o.OrderID, want)
		}
		if !strings.HasPrefix(o.UserID, "user-0000") && o.UserID != "user-000100" {
			t.Errorf("userId is %q", o.UserID)
		}
		if !strings.Contains(o.Email, "@example.") || o.Number < 1 || o.Number > 9 || clock().Sub(o.At) > time.Minute {
			t.Errorf("values say little: %s", doc)
		}
	}
}

// FuzzJSONSchema looks for schemas that break the generator: it may be unable, and
// never wrong.
func FuzzJSONSchema(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"type":["string","null"]}}}`)
	f.Add(`{"oneOf":[{"$ref":"#"}],"items":[{"$ref":"#/oneOf/0"}]}`)
	f.Add(`{"allOf":[{"minimum":3},{"maximum":-3}],"multipleOf":0.1}`)
	f.Fuzz(func(t *testing.T, text string) { fuzzed(t, schema.JSON, text) })
}

// FuzzAvro is FuzzJSONSchema for Avro.
func FuzzAvro(f *testing.F) {
	f.Add(`{"type":"record","name":"R","fields":[{"name":"r","type":["null","R"]}]}`)
	f.Add(`{"type":"map","values":{"type":"fixed","name":"F","size":3}}`)
	f.Fuzz(func(t *testing.T, text string) { fuzzed(t, schema.Avro, text) })
}

func fuzzed(t *testing.T, typ schema.Type, text string) {
	if len(text) > 4096 {
		return
	}
	g, err := fake.New(schema.Source{Type: typ, Text: text}, fake.Options{Now: clock})
	if err != nil {
		return
	}
	for range 3 {
		if doc, err := g.Next(); err == nil && !json.Valid(doc) {
			t.Fatalf("%s: not JSON: %q", text, doc)
		}
	}
}
