package protobuf

import (
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

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
	f.Fuzz(func(t *testing.T, which uint8, payload []byte) {
		i := int(which) % len(texts)
		checkAgainst(t, "fuzzed", messages[i], decoders[i], payload)
	})
}
