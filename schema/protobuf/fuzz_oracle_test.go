package protobuf

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tarn-io/tarn/schema"
)

// FuzzOracle feeds any bytes to our decoders and to protobuf-go: both accept or
// both refuse, and the row is what dynamicpb holds. It is
// TestMutatedAgainstDynamicpb with a search in place of a list.
func FuzzOracle(f *testing.F) {
	texts := []string{everyText, rangedText, wireText}
	messages := make([]protoreflect.MessageDescriptor, len(texts))
	decoders := make([]schema.Decoder, len(texts))
	for i, text := range texts {
		s := parse(f, text)
		index := []int{s.File().Messages().Len() - 1}
		var err error
		if messages[i], err = s.Message(index); err != nil {
			f.Fatal(err)
		}
		if decoders[i], err = s.Decoder(index); err != nil {
			f.Fatal(err)
		}
		for seed := range uint64(10) {
			r := rand.New(rand.NewPCG(seed, 5))
			payload := randomPayload(f, r, messages[i])
			f.Add(uint8(i), payload)
			f.Add(uint8(i), shuffle(r, payload))
		}
	}
	var judged []protoreflect.MessageDescriptor
	var validators []schema.Validator
	for i := range verdictTexts {
		md, v := judges(f, i)
		judged, validators = append(judged, md), append(validators, v)
		f.Add(uint8(len(texts)+i), join(varint(4, 1), varint(1, 5), bin(4, varint(1, 1)), group(3, varint(1, 2)), bin(7, varint(1, 1))))
	}
	f.Fuzz(func(t *testing.T, which uint8, payload []byte) {
		i := int(which) % (len(texts) + len(verdictTexts))
		if at := i - len(texts); at >= 0 {
			verdict(t, judged[at], validators[at], payload)
			return
		}
		checkAgainst(t, "fuzzed", messages[i], decoders[i], payload)
	})
}

// verdictTexts have what protobuf-go and columns judge differently, so that rows
// cannot be compared: closed enums, strings that need not be UTF-8, extensions.
var verdictTexts = []string{wireText2, editionText, `edition = "2023";
package p;
option features.field_presence = IMPLICIT;
option features.repeated_field_encoding = EXPANDED;
message Leaf { int32 n = 1 [features.field_presence = LEGACY_REQUIRED]; string s = 2 [features.utf8_validation = NONE]; }
enum Closed { option features.enum_type = CLOSED; A = 0; B = 7; }
message M {
  repeated int32 expanded = 1; repeated int32 packed = 2 [features.repeated_field_encoding = PACKED];
  Leaf delimited = 3 [features.message_encoding = DELIMITED]; repeated Leaf leaves = 4; Closed closed = 5 [features.field_presence = EXPLICIT]; repeated Closed more = 6;
  map<int32, Leaf> by = 7; oneof pick { Leaf leaf = 8; string text = 9; Leaf group = 10 [features.message_encoding = DELIMITED]; }
  M self = 11; fixed64 f = 12; sint32 z = 13; extensions 100 to 200;
}
extend M { Leaf far = 100; }
`}

// verdict compares Validate with protobuf-go's unmarshalling.
func verdict(t *testing.T, md protoreflect.MessageDescriptor, v schema.Validator, payload []byte) (taken bool) {
	t.Helper()
	theirs, panicked := unmarshal(payload, dynamicpb.NewMessage(md))
	if panicked {
		return false
	}
	ours := v.Validate(payload)
	if theirs == nil && expects(ours, "the field is required") {
		return false // in an entry that a later one replaces, which counts for us
	}
	if (ours == nil) != (theirs == nil) {
		t.Fatalf("%s: ours: %v, protobuf-go: %v\n%x", md.FullName(), ours, theirs, payload)
	}
	return theirs == nil
}

// judges are the message of a text of verdictTexts for protobuf-go, and our
// validator of it. The descriptor is protobuf-go's own: the compiler's does not
// tell it what an edition requires.
func judges(t testing.TB, i int) (protoreflect.MessageDescriptor, schema.Validator) {
	t.Helper()
	s := parse(t, verdictTexts[i])
	index := []int{s.File().Messages().Len() - 1}
	if i == 1 { // of this one the message stands first
		index[0] = 0
	}
	file, err := protodesc.NewFile(protodesc.ToFileDescriptorProto(s.File()), nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.Validator(index)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().Get(index[0]), v
}

// TestVerdicts holds whole and broken payloads of proto2 and of an edition
// against protobuf-go.
func TestVerdicts(t *testing.T) {
	for i := range verdictTexts {
		md, v := judges(t, i)
		taken, refused := 0, 0
		for seed := range uint64(3000) {
			r := rand.New(rand.NewPCG(seed, 7))
			m := dynamicpb.NewMessage(md)
			filler{r}.message(m, 0)
			payload, err := proto.MarshalOptions{AllowPartial: true}.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if seed%3 == 1 {
				payload = shuffle(r, payload)
			}
			if seed%3 == 2 && len(payload) > 0 {
				payload[r.IntN(len(payload))] ^= 1 << r.IntN(8)
			}
			if verdict(t, md, v, payload) {
				taken++
			} else {
				refused++
			}
		}
		if taken < 300 || refused < 100 {
			t.Errorf("text %d: %d taken, %d refused: the test tests little", i, taken, refused)
		}
	}
}

// expects says whether a refusal expected something.
func expects(err error, what string) bool {
	bad, ok := errors.AsType[*schema.Invalid](err)
	return ok && strings.Contains(bad.Expected, what) && strings.Contains(bad.Path, "[")
}
