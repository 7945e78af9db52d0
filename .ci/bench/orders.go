package main

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/twmb/avro"
	"google.golang.org/protobuf/encoding/protowire"
)

// orderOf is the record of twelve fields, which the schema packages are measured with
// too, in one language.
type orderOf struct {
	name, language, schema string
	payload                func() ([]byte, error)
}

var orders = []orderOf{
	{"Avro", "AVRO", avroOrder, avroPayload},
	{"Protobuf", "PROTOBUF", protobufOrder, protobufPayload},
	{"JSON", "JSON", jsonOrder, func() ([]byte, error) { return []byte(jsonPayload), nil }},
}

// framed is one record with its schema's id before it.
func (o orderOf) framed(id int) ([]byte, error) {
	payload, err := o.payload()
	if err != nil {
		return nil, err
	}
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(id))
	if o.language == "PROTOBUF" {
		frame = append(frame, 0) // the first message
	}
	return append(frame, payload...), nil
}

// order registers the schema for a topic's values and returns one.
func (s *server) order(topic string, o orderOf) ([]byte, error) {
	id, err := s.api.RegisterAs(s.bench.ctx, topic+"-value", o.language, o.schema)
	if err != nil {
		return nil, err
	}
	return o.framed(id)
}

const avroOrder = `{"type":"record","name":"Order","namespace":"shop","fields":[
 {"name":"id","type":"string"},
 {"name":"number","type":"long"},
 {"name":"amount","type":"double"},
 {"name":"created","type":{"type":"long","logicalType":"timestamp-micros"}},
 {"name":"customer","type":{"type":"record","name":"Customer","fields":[
   {"name":"id","type":"long"},{"name":"name","type":"string"},{"name":"mail","type":["null","string"],"default":null}]}},
 {"name":"tags","type":{"type":"array","items":"string"}},
 {"name":"attributes","type":{"type":"map","values":"string"}},
 {"name":"note","type":["null","string"],"default":null},
 {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":18,"scale":4}},
 {"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","PAID","SENT"]}},
 {"name":"paid","type":"boolean"},
 {"name":"count","type":"int"}]}`

func avroPayload() ([]byte, error) {
	s, err := avro.Parse(avroOrder)
	if err != nil {
		return nil, err
	}
	return s.Encode(map[string]any{
		"id": "7f2c4f4e-8f5b-4d26", "number": int64(123456789), "amount": 1234.5, "created": time.UnixMicro(1_760_000_000_000_000),
		"customer": map[string]any{"id": int64(4711), "name": "Ada Lovelace", "mail": "ada@example.com"},
		"tags":     []any{"alpha", "beta", "gamma"}, "attributes": map[string]any{"colour": "blue", "size": "large"},
		"note": nil, "price": []byte{0x0b, 0xc6, 0x14, 0xe0}, "state": "PAID", "paid": true, "count": 42,
	})
}

const protobufOrder = `syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "confluent/meta.proto";
import "confluent/type/decimal.proto";
enum State { NEW = 0; PAID = 1; SENT = 2; }
message Order {
  string id = 1;
  int64 number = 2;
  double amount = 3;
  google.protobuf.Timestamp created = 4;
  Customer customer = 5;
  repeated string tags = 6;
  map<string, string> attributes = 7;
  optional string note = 8;
  confluent.type.Decimal price = 9 [(confluent.field_meta) = {params: [{key: "precision", value: "18"}, {key: "scale", value: "4"}]}];
  State state = 10;
  bool paid = 11;
  int32 count = 12;
}
message Customer { int64 id = 1; string name = 2; optional string mail = 3; }`

func protobufPayload() ([]byte, error) {
	var b []byte
	number := func(b []byte, field protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
	}
	bytes := func(b []byte, field protowire.Number, v []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
	}
	text := func(b []byte, field protowire.Number, v string) []byte { return bytes(b, field, []byte(v)) }
	b = text(b, 1, "7f2c4f4e-8f5b-4d26")
	b = number(b, 2, 123456789)
	b = protowire.AppendFixed64(protowire.AppendTag(b, 3, protowire.Fixed64Type), math.Float64bits(1234.5))
	b = bytes(b, 4, number(nil, 1, 1_760_000_000))
	b = bytes(b, 5, text(text(number(nil, 1, 4711), 2, "Ada Lovelace"), 3, "ada@example.com"))
	for _, tag := range []string{"alpha", "beta", "gamma"} {
		b = text(b, 6, tag)
	}
	b = bytes(b, 7, text(text(nil, 1, "colour"), 2, "blue"))
	b = bytes(b, 7, text(text(nil, 1, "size"), 2, "large"))
	b = bytes(b, 9, number(bytes(nil, 1, []byte{0x0b, 0xc6, 0x14, 0xe0}), 3, 4))
	b = number(b, 10, 1)
	b = number(b, 11, 1)
	return number(b, 12, 42), nil
}

const jsonOrder = `{"type":"object","additionalProperties":false,
"required":["id","number","amount","created","customer","tags","attributes","price","state","paid","count"],"properties":{
"id":{"type":"string"},"number":{"type":"integer"},"amount":{"type":"number"},"created":{"type":"string","format":"date-time"},
"customer":{"type":"object","additionalProperties":false,"required":["id","name"],"properties":{
	"id":{"type":"integer"},"name":{"type":"string"},"mail":{"type":["string","null"]}}},
"tags":{"type":"array","items":{"type":"string"}},
"attributes":{"type":"object","additionalProperties":{"type":"string"}},
"note":{"type":["string","null"]},
"price":{"type":"number","multipleOf":0.0001},
"state":{"type":"string","enum":["NEW","PAID","SENT"]},
"paid":{"type":"boolean"},"count":{"type":"integer","minimum":-2147483648,"maximum":2147483647}}}`

const jsonPayload = `{"id":"7f2c4f4e-8f5b-4d26","number":123456789,"amount":1234.5,"created":"2025-10-09T08:53:20.000000Z",` +
	`"customer":{"id":4711,"name":"Ada Lovelace","mail":"ada@example.com"},"tags":["alpha","beta","gamma"],` +
	`"attributes":{"colour":"blue","size":"large"},"note":null,"price":19758.6656,"state":"PAID","paid":true,"count":42}`
