package protobuf

import (
	"errors"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/schema"
)

const extendedText = `syntax = "proto2";
package x;
import "more.proto";
enum Kind { A = 0; B = 1; }
message Leaf { required int32 n = 1; optional string s = 2; }
message M { optional int32 a = 1; repeated M ms = 2; extensions 100 to 199; }
extend M { optional int32 number = 100; optional Leaf leaf = 101; repeated Leaf leaves = 102; repeated Kind kinds = 103 [packed = true]; optional Kind kind = 104; }
`

// TestExtensions checks fields that are declared outside of their message, in
// the file and in one that it imports.
func TestExtensions(t *testing.T) {
	s := parse(t, `syntax = "proto2"; package user; import "x.proto"; import "far.proto";
		message Event { optional x.M m = 1; extensions 10; extend Event { optional string own = 10; } }`,
		"more.proto", `syntax = "proto2"; package more;`, "x.proto", extendedText,
		"far.proto", `edition = "2023"; package far; import "x.proto"; extend x.M { string text = 150; string any = 151 [features.utf8_validation = NONE]; }`)
	for _, c := range []struct {
		name    string
		payload []byte
		path    string // of the refusal; "" takes it
		text    string // of the refusal
	}{
		{"whole", join(text(10, "x"), bin(1, join(varint(1, 1), varint(100, 5), bin(101, varint(1, 1)), bin(102, varint(1, 2)), bin(103, []byte{0, 1}), text(150, "é")))), "", ""},
		{"of no wire type of its own", bin(1, text(100, "x")), "", ""},
		{"a required field lacks", bin(1, bin(101, text(2, "x"))), `$.m["[x.leaf]"].n`, "required"},
		{"a required field in the second part", bin(1, join(bin(101, text(2, "x")), bin(101, varint(1, 1)))), "", ""},
		{"a required field of an item lacks", bin(1, join(bin(102, varint(1, 1)), bin(102))), `$.m["[x.leaves]"][1].n`, "required"},
		{"an item is no message", bin(1, join(bin(102, varint(1, 1)), bin(102, []byte{0xff}))), `$.m["[x.leaves]"][1]`, "a field"},
		{"a packed list breaks off", bin(1, bin(103, []byte{1, 0x80})), `$.m["[x.kinds]"][1]`, "packed list"},
		{"a number that a closed enum does not know", bin(1, join(varint(104, 77), bin(103, []byte{77}))), "", ""},
		{"text of another file", bin(1, text(150, "\xff")), `$.m["[far.text]"]`, "UTF-8"},
		{"bytes that are text without a rule", bin(1, text(151, "\xff")), "", ""},
		{"a varint without an end", bin(1, []byte{0xa0, 6, 0x80}), `$.m["[x.number]"]`, "varint"},
		{"an unknown number of the range", bin(1, varint(199, 5)), "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := s.Validator([]int{0})
			if err != nil {
				t.Fatal(err)
			}
			d, err := s.Decoder([]int{0})
			if err != nil {
				t.Fatal(err)
			}
			rows, err := schema.NewRows(d.Columns())
			if err != nil {
				t.Fatal(err)
			}
			for who, err := range map[string]error{"Validate": v.Validate(c.payload), "Decode": d.Decode(c.payload, rows)} {
				bad, refused := errors.AsType[*schema.Invalid](err)
				switch {
				case refused != (c.path != ""):
					t.Errorf("%s: %v, want path %q", who, err, c.path)
				case refused && (bad.Path != c.path || !strings.Contains(bad.Error(), c.text)):
					t.Errorf("%s: %v, want %s and %q", who, err, c.path, c.text)
				}
			}
		})
	}
	d, err := s.Decoder([]int{0})
	if err != nil {
		t.Fatal(err)
	}
	row, err := rowJSON(t, d, join(text(10, "own"), bin(1, join(varint(1, 1), varint(100, 5)))))
	if want := `{"m":{"a":1,"ms":[]}}`; err != nil || row != want {
		t.Errorf("row %s, %v, want %s: extensions have no columns", row, err, want)
	}
}
