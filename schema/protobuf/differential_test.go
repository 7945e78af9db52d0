package protobuf

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tarn-io/tarn/schema"
)

// TestAgainstDynamicpb decodes random messages with protobuf-go and with ours
// and compares rows: as they were encoded, with their fields in another order
// and strangers among them, and with a second message appended, which merges.
func TestAgainstDynamicpb(t *testing.T) {
	for _, text := range []string{everyText, rangedText} {
		s := parse(t, text)
		index := []int{s.File().Messages().Len() - 1}
		md, err := s.Message(index)
		if err != nil {
			t.Fatal(err)
		}
		d, err := s.Decoder(index)
		if err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(1500) {
			r := rand.New(rand.NewPCG(seed, 1))
			payload := randomPayload(t, r, md)
			switch seed % 3 {
			case 1:
				payload = shuffle(r, payload)
			case 2:
				payload = append(payload, randomPayload(t, r, md)...)
			}
			checkAgainst(t, fmt.Sprintf("seed %d", seed), md, d, payload)
		}
	}
}

// TestMutatedAgainstDynamicpb changes bytes at random: both must come to the
// same verdict, and to the same row.
func TestMutatedAgainstDynamicpb(t *testing.T) {
	s := parse(t, everyText)
	md, err := s.Message([]int{2})
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Decoder([]int{2})
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for seed := range uint64(6000) {
		r := rand.New(rand.NewPCG(seed, 2))
		payload := randomPayload(t, r, md)
		for range 1 + r.IntN(3) {
			if len(payload) == 0 {
				break
			}
			i := r.IntN(len(payload))
			switch r.IntN(4) {
			case 0:
				payload[i] ^= 1 << r.IntN(8)
			case 1:
				payload[i] = byte(r.Uint32())
			case 2:
				payload = slices.Delete(payload, i, i+1)
			case 3:
				payload = payload[:i]
			}
		}
		if !checkAgainst(t, fmt.Sprintf("seed %d", seed), md, d, payload) {
			refused++
		}
	}
	if refused < 1000 || refused > 5500 {
		t.Errorf("refused %d of 6000 mutated payloads: the test tests little", refused)
	}
}

func randomPayload(t testing.TB, r *rand.Rand, md protoreflect.MessageDescriptor) []byte {
	t.Helper()
	m := dynamicpb.NewMessage(md)
	filler{Rand: r}.message(m, 0)
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// shuffle puts the fields of a payload in another order, keeping that among
// those of one number, and adds unknown ones.
func shuffle(r *rand.Rand, b []byte) []byte {
	var parts [][]byte
	for len(b) > 0 {
		_, _, n := protowire.ConsumeField(b)
		parts = append(parts, b[:n])
		b = b[n:]
	}
	parts = append(parts,
		protowire.AppendVarint(protowire.AppendTag(nil, 999, protowire.VarintType), r.Uint64()),
		protowire.AppendBytes(protowire.AppendTag(nil, 536870911, protowire.BytesType), []byte("stranger")),
		protowire.AppendGroup(protowire.AppendTag(nil, 998, protowire.StartGroupType), 998, protowire.AppendFixed32(protowire.AppendTag(nil, 1, protowire.Fixed32Type), 7)))
	r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return slices.Concat(parts...)
}

// unmarshal decodes with protobuf-go, which panics on a map entry whose key
// comes with a wrong wire type (v1.36.12, proto/decode.go, unmarshalMap).
func unmarshal(b []byte, m proto.Message) (err error, panicked bool) {
	defer func() {
		if r := recover(); r != nil {
			panicked = true
		}
	}()
	return proto.Unmarshal(b, m), false
}

// checkAgainst compares verdict and row, and reports the verdict.
func checkAgainst(t *testing.T, name string, md protoreflect.MessageDescriptor, d schema.Decoder, payload []byte) bool {
	t.Helper()
	m := dynamicpb.NewMessage(md)
	theirs, panicked := unmarshal(payload, m)
	if panicked {
		return true
	}
	ours := d.Validate(payload)
	got, err := rowJSON(t, d, payload)
	if (ours == nil) != (err == nil) {
		t.Fatalf("%s: Validate: %v, Decode: %v\n%x", name, ours, err, payload)
	}
	if theirs == nil && outOfColumn(err) {
		return false
	}
	if (theirs == nil) != (err == nil) {
		t.Fatalf("%s: protobuf-go: %v, ours: %v\n%x", name, theirs, err, payload)
	}
	if err != nil {
		return false
	}
	want := wantRow(m, nil)
	if !same(t, got, want) {
		t.Fatalf("%s:\n got %v\nwant %v\n%x", name, got, want, payload)
	}
	return true
}

// outOfColumn says whether a payload is refused for a value that a message can
// hold and its column cannot: dates without a day, times and decimals beyond.
func outOfColumn(err error) bool {
	bad, ok := errors.AsType[*schema.Invalid](err)
	if !ok {
		return false
	}
	for _, want := range []string{"a full date", "a time from", "a timestamp from", "a duration", "a decimal of", "decimal("} {
		if strings.HasPrefix(bad.Expected, want) {
			return true
		}
	}
	return false
}
