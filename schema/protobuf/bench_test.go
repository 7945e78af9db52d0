package protobuf

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tarn-io/tarn/schema"
)

// orderText is the record of twelve fields that all three languages are
// measured with.
const orderText = `syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "confluent/meta.proto";
import "confluent/type/decimal.proto";
enum Status { NEW = 0; PAID = 1; SHIPPED = 2; }
message Customer { int64 id = 1; string name = 2; optional string email = 3; }
message Order {
  string id = 1;
  int64 number = 2;
  double price = 3;
  google.protobuf.Timestamp at = 4;
  Customer customer = 5;
  repeated string items = 6;
  map<string, string> labels = 7;
  optional string note = 8;
  confluent.type.Decimal total = 9 [(confluent.field_meta) = {params: [{key: "precision", value: "18"}, {key: "scale", value: "4"}]}];
  Status status = 10;
  bool paid = 11;
  int32 count = 12;
}
message Refund { string order = 1; }
`

// orderJSON fills every field of an Order.
const orderJSON = `{"id":"order-2026-000017","number":"1234567890","price":19.99,"at":"2026-11-22T10:20:30.123456Z",
 "customer":{"id":"42","name":"Ada Lovelace","email":"ada@example.com"},"items":["pen","paper","ink bottle"],
 "labels":{"channel":"web","region":"eu"},"note":"leave at the door","total":{"value":"AeJA","scale":4},
 "status":"PAID","paid":true,"count":3}`

func BenchmarkValidate(b *testing.B) {
	d, payload := decoderOf(b, orderText, 1), payloadOf(b, orderText, 1, orderJSON)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Validate(payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	d, payload := decoderOf(b, orderText, 1), payloadOf(b, orderText, 1, orderJSON)
	rows, err := schema.NewRows(d.Columns())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Decode(payload, rows); err != nil {
			b.Fatal(err)
		}
		if rows.Len() == 10000 {
			rows.Batch()
		}
	}
}

func BenchmarkDynamicpb(b *testing.B) {
	s, payload := parse(b, orderText), payloadOf(b, orderText, 1, orderJSON)
	md, err := s.Message([]int{1})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := proto.Unmarshal(payload, dynamicpb.NewMessage(md)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parse(b, orderText).Decoder([]int{1}); err != nil {
			b.Fatal(err)
		}
	}
}
