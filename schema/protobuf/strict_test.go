package protobuf

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tarn-io/tarn/schema"
)

const strictText = `syntax = "proto2";
import "google/protobuf/timestamp.proto";
message P { optional int32 x = 1; }
message M {
  optional int32 n = 1; optional P p = 2; repeated P ps = 3; map<string, P> m = 4; optional google.protobuf.Timestamp at = 5;
  optional group G = 6 { optional int32 x = 1; } oneof pick { P a = 7; int32 b = 8; } repeated int32 list = 9;
  extensions 100 to 199;
}
extend M { optional string far = 100; }
message Req { required P p = 1; }
`

// TestStrict refuses what a message's schema does not have, where the schema
// says so, and nothing else.
func TestStrict(t *testing.T) {
	stranger := join(varint(99, 1))
	tests := []struct {
		name    string
		index   int
		payload []byte
		path    string // of the refusal; "" takes it
	}{
		{"nothing", 1, nil, ""},
		{"its own", 1, join(varint(1, 1), bin(2, varint(1, 1)), bin(4, text(1, "k"), bin(2, varint(1, 1))), bin(5, varint(1, 5)), group(6, varint(1, 1)), bin(9, []byte{1, 2}), varint(9, 3)), ""},
		{"a number of an extension", 1, join(text(100, "x"), varint(199, 1)), ""},
		{"behind the extensions", 1, varint(200, 1), "$"},
		{"a varint", 1, join(varint(1, 1), stranger), "$"},
		{"a group", 1, group(99, varint(1, 1)), "$"},
		{"a high number", 1, text(536870911, "x"), "$"},
		{"another wire type", 1, text(1, "x"), "$"},
		{"in a message", 1, bin(2, stranger), "$.p"},
		{"in an item", 1, join(bin(3, varint(1, 1)), bin(3, stranger)), "$.ps[1]"},
		{"in an entry", 1, bin(4, text(1, "k"), bin(2, varint(1, 1)), varint(3, 1)), `$.m["k"]`},
		{"in a value", 1, bin(4, text(1, "k"), bin(2, stranger)), `$.m["k"]`},
		{"in a timestamp", 1, bin(5, varint(1, 5), stranger), "$.at"},
		{"in a group of its own", 1, group(6, stranger), "$.g"},
		{"in a oneof", 1, bin(7, stranger), "$.a"},
		{"in a required message", 2, bin(1, varint(1, 1), stranger), "$.p"},
		{"in a part of a message", 2, join(bin(1, stranger), bin(1, varint(1, 1))), "$.p"},
	}
	s := parse(t, strictText)
	for _, tt := range tests {
		lax, err := s.Validator([]int{tt.index})
		if err != nil {
			t.Fatal(err)
		}
		if err := lax.Validate(tt.payload); err != nil {
			t.Errorf("%s: refused though strangers are taken: %v", tt.name, err)
		}
		v, err := s.StrictValidator([]int{tt.index})
		if err != nil {
			t.Fatal(err)
		}
		err = v.Validate(tt.payload)
		bad, _ := errors.AsType[*schema.Invalid](err)
		switch {
		case tt.path == "" && err != nil:
			t.Errorf("%s: refused: %v", tt.name, err)
		case tt.path != "" && (bad == nil || !strings.EqualFold(bad.Path, tt.path) || !strings.HasPrefix(bad.Expected, "fields of message ")):
			t.Errorf("%s: got %v, want a refusal at %s", tt.name, err, tt.path)
		}
	}
	v, err := s.StrictValidator([]int{1})
	if err != nil {
		t.Fatal(err)
	}
	if v.Validate(protowire.AppendTag(nil, 99, protowire.BytesType)) == nil {
		t.Error("a stranger that is cut off was taken")
	}
	if _, err := s.StrictValidator([]int{9}); err == nil {
		t.Error("a message that is not there")
	}
}
