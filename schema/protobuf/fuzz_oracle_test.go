package protobuf

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
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
	var judged []judge
	for i := range verdictTexts {
		judged = append(judged, judges(f, i))
		f.Add(uint8(len(texts)+i), join(varint(4, 1), varint(1, 5), bin(4, varint(1, 1)), group(3, varint(1, 2)), bin(7, varint(1, 1))))
	}
	f.Fuzz(func(t *testing.T, which uint8, payload []byte) {
		i := int(which) % (len(texts) + len(verdictTexts))
		if at := i - len(texts); at >= 0 {
			judged[at].verdict(t, payload)
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
`, `syntax = "proto2";
package x;
enum Kind { A = 0; B = 1; }
message Leaf { required int32 n = 1; optional string s = 2; extensions 10 to 20; }
message Holder { extend M { repeated Leaf nested = 107; } extend Leaf { optional M back = 10; repeated sint32 more = 11 [packed = true]; } }
message M { optional int32 a = 1; optional Leaf leaf = 2; repeated M ms = 3; map<string, M> by = 4; extensions 100 to 199; extensions 5000 to max; }
extend M {
  optional int32 number = 100; optional string text = 101; optional bytes raw = 102; optional Kind kind = 103; repeated Kind kinds = 104 [packed = true];
  optional Leaf one = 105; repeated group Part = 106 { optional Leaf leaf = 1; optional string s = 2; } repeated fixed64 wide = 108; optional M again = 109;
  optional double far = 6000; repeated string texts = 110;
}
`, `edition = "2023";
package y;
enum Open { A = 0; B = 1; }
enum Closed { option features.enum_type = CLOSED; C = 0; D = 1; }
message Leaf { string s = 1; int32 n = 2 [features.field_presence = LEGACY_REQUIRED]; }
message M { int32 a = 1; M inner = 2 [features.message_encoding = DELIMITED]; extensions 100 to 199; }
extend M {
  string text = 101; string any = 102 [features.utf8_validation = NONE]; Open open = 103; Closed closed = 104; repeated Closed closeds = 105;
  Leaf leaf = 106; Leaf group = 107 [features.message_encoding = DELIMITED]; repeated int32 expanded = 108 [features.repeated_field_encoding = EXPANDED]; repeated Leaf leaves = 109;
}
`}

// judge is a message of verdictTexts with both sides' readers.
type judge struct {
	text  string
	md    protoreflect.MessageDescriptor // protobuf-go's own: the compiler's does not tell it what an edition requires
	types *dynamicpb.Types               // the file's extensions
	v     schema.Validator
	d     schema.Decoder // nil without a table form

	extensions []protoreflect.ExtensionType
}

// verdict compares Validate with protobuf-go's unmarshalling, and Decode with
// Validate.
func (j judge) verdict(t *testing.T, payload []byte) (taken bool) {
	t.Helper()
	theirs, panicked := j.unmarshal(payload)
	if panicked {
		return false
	}
	ours := j.v.Validate(payload)
	j.decode(t, payload, ours)
	if theirs == nil && expects(ours, "the field is required") {
		return false // in an entry that a later one replaces, which counts for us
	}
	// dynamicpb's extension types do not tell protobuf-go that it should look at text.
	if bad, ok := errors.AsType[*schema.Invalid](ours); ok && theirs == nil && bad.Expected == "a string in UTF-8" && strings.Contains(bad.Path, `["[`) {
		return false
	}
	if (ours == nil) != (theirs == nil) {
		t.Fatalf("%s: ours: %v, protobuf-go: %v\n%x\n%s", j.md.FullName(), ours, theirs, payload, j.text)
	}
	return theirs == nil
}

// unmarshal is unmarshal with the extensions known.
func (j judge) unmarshal(b []byte) (err error, panicked bool) {
	defer func() {
		if r := recover(); r != nil {
			panicked = true
		}
	}()
	return proto.UnmarshalOptions{Resolver: j.types}.Unmarshal(b, dynamicpb.NewMessage(j.md)), false
}

// decode expects Decode to agree with Validate, but for what columns cannot hold.
func (j judge) decode(t *testing.T, payload []byte, valid error) {
	t.Helper()
	if j.d == nil {
		return
	}
	rows, err := schema.NewRows(j.d.Columns())
	if err != nil {
		t.Fatal(err)
	}
	err = j.d.Decode(payload, rows)
	if bad, ok := errors.AsType[*schema.Invalid](err); ok && valid == nil && bad.Expected == "a string in UTF-8" {
		return
	}
	if (err == nil) != (valid == nil) {
		t.Fatalf("%s: Validate: %v, Decode: %v\n%x\n%s", j.md.FullName(), valid, err, payload, j.text)
	}
}

// judges are the readers of a text of verdictTexts.
func judges(t testing.TB, i int) judge {
	t.Helper()
	at := -1
	if i == 1 { // of this one the message stands first
		at = 0
	}
	j, err := newJudge(t, verdictTexts[i], at)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// newJudge makes the readers of a text's message by its place, -1 for the last.
// The error says that the text is none.
func newJudge(t testing.TB, text string, at int) (judge, error) {
	t.Helper()
	parsed, err := Parse(schema.Source{Type: schema.Protobuf, Text: text})
	if err != nil {
		return judge{}, err
	}
	s := parsed.(*Schema)
	if at < 0 {
		at = s.File().Messages().Len() - 1
	}
	file, err := protodesc.NewFile(protodesc.ToFileDescriptorProto(s.File()), nil)
	if err != nil {
		return judge{}, err
	}
	files := new(protoregistry.Files)
	if err := files.RegisterFile(file); err != nil {
		t.Fatal(err)
	}
	j := judge{text: text, md: file.Messages().Get(at), types: dynamicpb.NewTypes(files)}
	extensions := func(list protoreflect.ExtensionDescriptors) {
		for i := range list.Len() {
			j.extensions = append(j.extensions, dynamicpb.NewExtensionType(list.Get(i)))
		}
	}
	extensions(file.Extensions())
	for i := range file.Messages().Len() {
		extensions(file.Messages().Get(i).Extensions())
	}
	if j.v, err = s.Validator([]int{at}); err != nil {
		t.Fatal(err)
	}
	if j.d, err = s.Decoder([]int{at}); err != nil {
		j.d = nil
	}
	return j, nil
}

// extend sets extensions of a message, and of messages in it, at random.
func (j judge) extend(r filler, m protoreflect.Message, depth int) {
	for _, xt := range j.extensions {
		fd := xt.TypeDescriptor()
		if fd.ContainingMessage().FullName() != m.Descriptor().FullName() || r.IntN(2) == 0 || fd.Message() != nil && depth > 3 {
			continue
		}
		one := func(fresh protoreflect.Value) protoreflect.Value {
			v := r.value(fresh, fd, depth+1)
			if fd.Message() != nil {
				j.extend(r, v.Message(), depth+1)
			}
			return v
		}
		if !fd.IsList() {
			m.Set(fd, one(m.NewField(fd)))
			continue
		}
		for range r.IntN(4) {
			l := m.Mutable(fd).List()
			l.Append(one(l.NewElement()))
		}
	}
}

// TestVerdicts holds whole and broken payloads of proto2 and of an edition
// against protobuf-go.
func TestVerdicts(t *testing.T) {
	for i := range verdictTexts {
		j := judges(t, i)
		taken, refused := 0, 0
		for seed := range uint64(3000) {
			r := rand.New(rand.NewPCG(seed, 7))
			m := dynamicpb.NewMessage(j.md)
			filler{Rand: r}.message(m, 0)
			j.extend(filler{Rand: r}, m, 0)
			payload, err := proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if seed%3 == 1 {
				payload = shuffle(r, payload)
			}
			if seed%3 == 2 && len(payload) > 0 {
				payload[r.IntN(len(payload))] ^= 1 << r.IntN(8)
			}
			if j.verdict(t, payload) {
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

// TestRowsOfFeatures compares the rows of proto2 and of editions with what
// protobuf-go holds: presence, packing, groups and closed enums as the features
// say. Constants are known ones, since it keeps others in closed enums too.
func TestRowsOfFeatures(t *testing.T) {
	for i := range verdictTexts {
		j := judges(t, i)
		rows, nulls := 0, 0
		for seed := range uint64(800) {
			r := rand.New(rand.NewPCG(seed, 9))
			m := dynamicpb.NewMessage(j.md)
			filler{Rand: r, known: true}.message(m, 0)
			payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
			if err != nil || j.d == nil {
				continue // without a required field
			}
			if seed%2 == 1 {
				payload = shuffle(r, payload)
			}
			got, err := rowJSON(t, j.d, payload)
			if err != nil {
				t.Fatalf("text %d, seed %d: %v\n%x", i, seed, err, payload)
			}
			want := dynamicpb.NewMessage(j.md)
			if err := proto.Unmarshal(payload, want); err != nil {
				t.Fatal(err)
			}
			if row := wantRow(want, nil); !same(t, got, row) {
				t.Fatalf("text %d, seed %d:\n got %v\nwant %v\n%x", i, seed, got, row, payload)
			}
			rows++
			nulls += strings.Count(got, "null")
		}
		if rows < 50 || nulls == 0 {
			t.Errorf("text %d: %d rows with %d nulls: the test tests little", i, rows, nulls)
		}
	}
}

// expects says whether a refusal expected something.
func expects(err error, what string) bool {
	bad, ok := errors.AsType[*schema.Invalid](err)
	return ok && strings.Contains(bad.Expected, what) && strings.Contains(bad.Path, "[")
}
