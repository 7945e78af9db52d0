package wire

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestLayouts holds the layouts against kmsg: the walk of any encoded request
// ends exactly at its end, and a request cut anywhere is refused by the walk.
func TestLayouts(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for key, text := range layoutTexts {
		fields, ok := layouts()[key]
		if !ok {
			t.Errorf("key %d: layout %q does not compile", key, text)
			continue
		}
		r := Range{Key: key, Name: kmsg.NameForKey(key), Max: kmsg.RequestForKey(key).MaxVersion()}
		for version := r.Min; version <= r.Max; version++ {
			for range 100 {
				req := filled(rng, r.Key, version)
				body := req.AppendTo(nil)
				w := walker{b: body, version: version, flexible: req.IsFlexible()}
				if w.structure(fields); w.bad || len(w.b) != 0 {
					t.Fatalf("%s v%d: walk of %d bytes: bad %v, %d left\n%+v", r.Name, version, len(body), w.bad, len(w.b), req)
				}
				if len(body) == 0 {
					continue
				}
				cut := body[:rng.IntN(len(body))]
				if _, err := walk(Request{Key: r.Key, Version: version, Body: cut}, req.IsFlexible()); err == nil {
					t.Fatalf("%s v%d: cut at %d of %d passes", r.Name, version, len(cut), len(body))
				}
			}
		}
	}
}

func TestDecodeGivesWhatWasSent(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, r := range Served() {
		for version := r.Min; version <= r.Max; version++ {
			for range 20 {
				sent := filled(rng, r.Key, version)
				frame, err := ReadFrame(bytes.NewReader(frameOf(9, sent)), FrameLimit)
				if err != nil {
					t.Fatal(err)
				}
				req, err := ParseRequest(frame)
				if err != nil {
					t.Fatalf("%s v%d: %v", r.Name, version, err)
				}
				if req.Key != r.Key || req.Version != version || req.CorrelationID != 9 || req.ClientID != "tester" {
					t.Fatalf("%s v%d: header %+v", r.Name, version, req)
				}
				got, err := Decode(req)
				if err != nil {
					t.Fatalf("%s v%d: %v\n%+v", r.Name, version, err, sent)
				}
				if !bytes.Equal(got.AppendTo(nil), sent.AppendTo(nil)) {
					t.Fatalf("%s v%d:\n got %+v\nwant %+v", r.Name, version, got, sent)
				}
			}
		}
	}
}

// TestAmplification sends counts that no bytes stand behind (W4).
func TestAmplification(t *testing.T) {
	manyTopics := func(n int) []byte {
		req := kmsg.NewPtrMetadataRequest()
		req.SetVersion(8)
		req.Topics = make([]kmsg.MetadataRequestTopic, n)
		for i := range req.Topics {
			req.Topics[i].Topic = kmsg.StringPtr("")
		}
		return req.AppendTo(nil)
	}
	zeros := make([]byte, 4<<20)
	cases := []struct {
		name         string
		key, version int16
		body         []byte
		ok           bool
	}{
		{"some topics", 3, 8, manyTopics(10000), true},
		{"too many topics", 3, 8, manyTopics(maxElements + 1), false},
		{"CreateTopics, 4 Mi elements claimed", 19, 4, append([]byte{0, 0x3f, 0xff, 0}, zeros...), false},
		{"CreateTopics v7, the same", 19, 7, append([]byte{0x80, 0xff, 0xff, 1}, zeros...), false},
		{"Produce, 4 Mi topics claimed", 0, 3, append([]byte{0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0x3f, 0xff, 0}, zeros...), false},
		{"2^32 tags, no bytes", 12, 4, []byte{1, 0, 0, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f}, false},
		{"2^32 tags inside a tag", 1, 15, slicesOf(
			[]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, // to session epoch
			[]byte{1, 1, 1},         // no topics, no forgotten, no rack
			[]byte{1, 1, 4 + 8 + 5}, // one tag: replica state
			make([]byte, 12), []byte{0xff, 0xff, 0xff, 0xff, 0x0f}), false},
		{"tag count of six bytes", 12, 4, []byte{1, 0, 0, 0, 0, 1, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0}, false},
		{"string past the end", 12, 0, []byte{0x7f, 0xff, 'a'}, false},
		{"negative array", 15, 0, []byte{0x80, 0, 0, 0}, true},
	}
	for _, c := range cases {
		var err error
		allocs := testing.AllocsPerRun(1, func() {
			_, err = Decode(Request{Key: c.key, Version: c.version, Body: c.body})
		})
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want ok %v", c.name, err, c.ok)
		}
		if err != nil && allocs > 20 {
			t.Errorf("%s: %.0f allocations before the refusal", c.name, allocs)
		}
	}
}

// TestDecodedSize decodes as many elements as are allowed, in the request whose
// elements are largest for their bytes.
func TestDecodedSize(t *testing.T) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 7
	req.Topics = make([]kmsg.CreateTopicsRequestTopic, maxElements)
	body := req.AppendTo(nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Decode(Request{Key: 19, Version: 7, Body: body}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 40<<20 {
		t.Errorf("%d bytes for a body of %d", got, len(body))
	} else {
		t.Logf("%d bytes for a body of %d", got, len(body))
	}
}

func slicesOf(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestCompileRefuses(t *testing.T) {
	for _, text := range []string{"x", "[ i", "[ ]", "i3", "i3-x", "ix-", "(i", "<", "<1 i", "i ]"} {
		if fields, rest, ok := compile(text); ok && rest == "" {
			t.Errorf("%q compiles to %+v", text, fields)
		}
	}
}

func BenchmarkDecodeProduce(b *testing.B) {
	req := kmsg.NewPtrProduceRequest()
	req.Version = 12
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = "topic"
	for i := range 100 {
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = int32(i), make([]byte, 1024)
		topic.Partitions = append(topic.Partitions, p)
	}
	req.Topics = append(req.Topics, topic)
	frame := frameOf(1, req)[sizeBytes:]
	b.ReportAllocs()
	for b.Loop() {
		r, err := ParseRequest(frame)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Decode(r); err != nil {
			b.Fatal(err)
		}
	}
}
