package validate

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
)

const (
	orderText = `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"long"},{"name":"note","type":"string"}]}`
	otherText = `{"type":"record","name":"Other","namespace":"shop","fields":[{"name":"id","type":"long"}]}`
	protoText = "syntax = \"proto3\";\npackage shop;\nmessage A { int64 n = 1; }\nmessage B { string s = 1; message C { int64 n = 1; } }\n"
	jsonText  = `{"type":"object","title":"Item","properties":{"n":{"type":"integer"}},"required":["n"]}`
)

// fixture is a registry with the ids 1 Order, 2 Other, 3 Protobuf, 4 JSON, each
// in the subjects of its topic and of its name.
type fixture struct {
	*Validator
	reg  *registry.Registry
	guid [16]byte // of Order
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	reg, err := registry.Open(t.Context(), registry.Config{Engine: memory.New()})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		subject string
		kind    schema.Type
		text    string
	}{
		{"orders-value", schema.Avro, orderText},
		{"other-value", schema.Avro, otherText},
		{"proto-value", schema.Protobuf, protoText},
		{"json-value", schema.JSON, jsonText},
		{"orders-key", schema.Avro, otherText},
		{"shop.Other", schema.Avro, otherText},
		{"orders-shop.Other", schema.Avro, otherText},
		{"shop.B.C", schema.Protobuf, protoText},
		{"Item", schema.JSON, jsonText},
	} {
		if _, err := reg.Register(t.Context(), s.subject, registry.Request{Type: s.kind, Text: s.text}); err != nil {
			t.Fatal(err)
		}
	}
	v := New(Config{
		Registry: reg, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Now: func() time.Time { return time.UnixMilli(5000) },
	})
	return &fixture{v, reg, schema.GUID(orderText, nil, nil, nil)}
}

// rec is one record of a test batch.
type rec struct {
	key, value []byte
	headers    []record.RecordHeader
}

func batch(t testing.TB, recs ...rec) *record.Reader {
	t.Helper()
	b := record.NewBuilder(record.Options{})
	for _, r := range recs {
		b.Append(1, r.key, r.value, r.headers...)
	}
	raw, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	rd := &record.Reader{}
	if err := rd.Reset(raw, 64<<20); err != nil {
		t.Fatal(err)
	}
	return rd
}

func framed(id int32, payload ...byte) []byte {
	return append(schema.AppendPrefix(nil, id), payload...)
}

func header(name string, value []byte) record.RecordHeader {
	return record.RecordHeader{Key: name, Value: value}
}

func TestCheck(t *testing.T) {
	f := newFixture(t)
	good := []byte{14, 2, 'x'} // an Order
	byGUID := header(schema.ValueHeader, schema.AppendHeader(nil, f.guid))
	full := Topic{Name: "orders", Value: Part{Level: Payload}}
	ids := Topic{Name: "orders", Value: Part{Level: ID}}
	tests := []struct {
		name  string
		topic Topic
		rec   rec
		want  string // "" passes
	}{
		{"prefix", full, rec{value: framed(1, good...)}, ""},
		{"bare", full, rec{value: good}, ""},
		{"header with GUID", full, rec{value: good, headers: []record.RecordHeader{byGUID}}, ""},
		{"header with id", full, rec{value: good, headers: []record.RecordHeader{header(schema.ValueHeader, framed(1))}}, ""},
		{"last header wins", full, rec{value: good, headers: []record.RecordHeader{header(schema.ValueHeader, framed(99)), byGUID}}, ""},
		{"header before prefix", full, rec{value: framed(1, good...), headers: []record.RecordHeader{byGUID}},
			`schema orders-value v1 (id 1, AVRO): $: expected the end of the payload`},
		{"the key's header is not the value's", full, rec{value: good, headers: []record.RecordHeader{header(schema.KeyHeader, framed(99))}}, ""},
		{"bad header", full, rec{value: good, headers: []record.RecordHeader{header(schema.ValueHeader, []byte{7})}},
			`value: schema id header: $: expected schema id header of 0x01 and a GUID, or 0x00 and an id, found "\a"`},
		{"unknown GUID", full, rec{value: good, headers: []record.RecordHeader{header(schema.ValueHeader, schema.AppendHeader(nil, [16]byte{1}))}},
			`value: unknown schema GUID 01000000-0000-0000-0000-000000000000`},
		{"tombstone", full, rec{key: []byte("k")}, ""},
		{"null key", Topic{Name: "orders", Key: Part{Level: Payload}}, rec{value: good}, ""},
		{"unknown id", full, rec{value: framed(99, good...)}, `value: unknown schema id 99`},
		{"id of another subject", full, rec{value: framed(2, 14)}, `value: schema id 2 is not of subject "orders-value"`},
		{"wrong payload", full, rec{value: framed(1, 14, 2, 0xff)}, `schema orders-value v1 (id 1, AVRO): $.note: expected`},
		{"too much payload", full, rec{value: framed(1, 14, 2, 'x', 0)}, `schema orders-value v1 (id 1, AVRO): $: expected the end of the payload`},
		{"no schema at all", Topic{Name: "nothing", Value: Part{Level: Payload}}, rec{value: good}, `value: no schema id, and subject "nothing-value" has no schema`},
		{"off", Topic{Name: "orders"}, rec{value: framed(99)}, ""},
		{"key", Topic{Name: "orders", Key: Part{Level: Payload}}, rec{key: framed(2, 0x80)}, `key: schema orders-key v1 (id 2, AVRO): $.id: expected`},

		{"id level takes any payload", ids, rec{value: framed(1, 0xff)}, ""},
		{"id level needs an id", ids, rec{value: good}, `value: no schema id`},
		{"id level knows its ids", ids, rec{value: framed(99)}, `value: unknown schema id 99`},
		{"id level keeps to its subject", ids, rec{value: framed(2)}, `value: schema id 2 is not of subject "orders-value"`},

		{"protobuf", Topic{Name: "proto", Value: Part{Level: Payload}}, rec{value: framed(3, 0, 8, 7)}, ""},
		{"protobuf message", Topic{Name: "proto", Value: Part{Level: Payload}}, rec{value: framed(3, 2, 2, 10, 1, 'x')}, ""},
		{"protobuf nested message", Topic{Name: "proto", Value: Part{Level: Payload}}, rec{value: framed(3, 4, 2, 0, 8, 7)}, ""},
		{"protobuf bad message", Topic{Name: "proto", Value: Part{Level: Payload}}, rec{value: framed(3, 2, 18, 10, 1, 'x')}, `value: message index [9]`},
		{"protobuf cut index", Topic{Name: "proto", Value: Part{Level: Payload}}, rec{value: framed(3, 4, 2)}, `value: message indexes: $: expected`},
		{"protobuf wrong payload", Topic{Name: "proto", Value: Part{Level: Payload}}, rec{value: framed(3, 2, 2, 10, 1, 0xff)}, `schema proto-value v1 (id 3, PROTOBUF): $.s: expected`},
		{"protobuf header", Topic{Name: "proto", Value: Part{Level: Payload}}, rec{value: []byte{10, 1, 'x'}, headers: []record.RecordHeader{header(schema.ValueHeader, framed(3, 2, 2))}}, ""},
		{"protobuf header with more", Topic{Name: "proto", Value: Part{Level: Payload}}, rec{value: []byte{10, 1, 'x'}, headers: []record.RecordHeader{header(schema.ValueHeader, framed(3, 2, 2, 9))}}, `value: message indexes`},
		{"protobuf bare and empty", Topic{Name: "proto", Value: Part{Level: Payload}}, rec{value: []byte{}}, ""},
		{"json", Topic{Name: "json", Value: Part{Level: Payload}}, rec{value: framed(4, []byte(`{"n":1}`)...)}, ""},
		{"json bare", Topic{Name: "json", Value: Part{Level: Payload}}, rec{value: []byte(`{"n":"x"}`)}, `schema json-value v1 (id 4, JSON): $.n: expected integer, found`},

		{"record strategy", Topic{Name: "orders", Value: Part{Level: ID, Strategy: RecordName}}, rec{value: framed(2)}, ""},
		{"record strategy, other subject", Topic{Name: "orders", Value: Part{Level: ID, Strategy: RecordName}}, rec{value: framed(1)}, `value: schema id 1 is not of subject "shop.Order"`},
		{"record strategy, bare", Topic{Name: "orders", Value: Part{Level: Payload, Strategy: RecordName}}, rec{value: good}, `value: no schema id`},
		{"record strategy, message", Topic{Name: "orders", Value: Part{Level: Payload, Strategy: RecordName}}, rec{value: framed(3, 4, 2, 0, 8, 7)}, ""},
		{"record strategy, first message", Topic{Name: "orders", Value: Part{Level: Payload, Strategy: RecordName}}, rec{value: framed(3, 0, 8, 7)}, `value: schema id 3 is not of subject "shop.A"`},
		{"record strategy, title", Topic{Name: "orders", Value: Part{Level: Payload, Strategy: RecordName}}, rec{value: framed(4, []byte(`{"n":1}`)...)}, ""},
		{"topic and record", Topic{Name: "orders", Value: Part{Level: Payload, Strategy: TopicRecordName}}, rec{value: framed(2, 14)}, ""},
		{"topic and record, other topic", Topic{Name: "x", Value: Part{Level: Payload, Strategy: TopicRecordName}}, rec{value: framed(2, 14)}, `value: schema id 2 is not of subject "x-shop.Other"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rd := batch(t, rec{}, tt.rec) // behind a record that passes
			refused, err := f.Check(tt.topic, rd, Origin{})
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case tt.want == "" && len(refused) == 0:
			case tt.want == "" || len(refused) != 1 || refused[0].Index != 1:
				t.Errorf("got %+v, want %q", refused, tt.want)
			case !strings.HasPrefix(refused[0].Message(), tt.want):
				t.Errorf("got  %s\nwant %s", refused[0].Message(), tt.want)
			}
		})
	}
}

// TestMonitor remembers what payload validation would refuse, and refuses
// nothing; what the other part refuses counts all the same.
func TestMonitor(t *testing.T) {
	f := newFixture(t)
	rd := batch(t, rec{value: framed(99)}, rec{value: framed(1, 14, 2, 'x')}, rec{key: framed(99), value: framed(98)})
	refused, err := f.Check(Topic{Name: "orders", Value: Part{Level: Monitor}}, rd, Origin{})
	if err != nil || len(refused) != 0 {
		t.Fatalf("got %+v, %v", refused, err)
	}
	list := f.Rejections("orders", TopicID{})
	if len(list) != 2 || !list[0].Monitored || list[0].Index != 2 || list[1].Index != 0 {
		t.Errorf("remembered: %+v", list)
	}
	rd.Rewind()
	refused, err = f.Check(Topic{Name: "orders", Key: Part{Level: Monitor}, Value: Part{Level: Payload}}, rd, Origin{})
	if err != nil || len(refused) != 2 || refused[1].Part != "value" || refused[1].Monitored {
		t.Errorf("got %+v, %v", refused, err)
	}
}

// TestLimit lists every refusal where the caller wants all.
func TestLimit(t *testing.T) {
	f := newFixture(t)
	recs := make([]rec, MaxRefusals+7)
	for i := range recs {
		recs[i] = rec{value: framed(99)}
	}
	refused, err := f.Check(Topic{Name: "orders", Value: Part{Level: ID}, Limit: MaxRefusals + 5}, batch(t, recs...), Origin{})
	if err != nil || len(refused) != MaxRefusals+5 || refused[len(refused)-1].More != 2 {
		t.Errorf("%d refusals, %v", len(refused), err)
	}
	if n := f.Rejected("orders", TopicID{}); n != MaxRefusals+7 {
		t.Errorf("%d counted, want %d", n, MaxRefusals+7)
	}
}

// TestDeletedVersion says that no new data comes for a version deleted softly.
func TestDeletedVersion(t *testing.T) {
	f := newFixture(t)
	if _, err := f.reg.DeleteSubject(t.Context(), "orders-value", false); err != nil {
		t.Fatal(err)
	}
	refused, err := f.Check(Topic{Name: "orders", Value: Part{Level: ID}}, batch(t, rec{value: framed(1)}), Origin{})
	if err != nil || len(refused) != 1 {
		t.Errorf("got %+v, %v", refused, err)
	}
}

func TestRejections(t *testing.T) {
	f := newFixture(t)
	var recs []rec
	for i := range 2 * MaxRefusals {
		recs = append(recs, rec{value: framed(int32(1000+i), 'p')})
	}
	topic := Topic{Name: "orders", Value: Part{Level: Payload}}
	from := Origin{ClientID: "c", Software: "franz-go", SoftwareVersion: "1.2", Remote: "10.0.0.1:5"}
	refused, err := f.Check(topic, batch(t, recs...), from)
	if err != nil || len(refused) != MaxRefusals || refused[MaxRefusals-1].More != MaxRefusals {
		t.Fatalf("%d refusals, %v", len(refused), err)
	}
	list := f.Rejections("orders", TopicID{})
	if len(list) != MaxRefusals || f.Rejected("orders", TopicID{}) != 2*MaxRefusals || f.Rejected("other", TopicID{}) != 0 {
		t.Fatalf("%d rejections of %d", len(list), f.Rejected("orders", TopicID{}))
	}
	want := Rejection{
		Seq: 100, Time: time.UnixMilli(5000), Topic: "orders", Origin: from, Preview: `"\x00\x00\x00\x04Kp"`,
		Refusal: Refusal{Index: 99, Part: "value", Reason: "unknown schema id 1099", SchemaID: 1099, Subject: "orders-value", More: 100, Class: UnknownSchema},
	}
	if list[0] != want {
		t.Errorf("got  %+v\nwant %+v", list[0], want)
	}
	for range 10 {
		if _, err := f.Check(topic, batch(t, recs...), from); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Check(topic, batch(t, rec{value: framed(7)}), from); err != nil {
		t.Fatal(err)
	}
	list = f.Rejections("orders", TopicID{})
	if len(list) != defaultRing || list[0].SchemaID != 7 || list[1].SchemaID != 1099 || list[defaultRing-1].SchemaID != 1001 {
		t.Errorf("a full ring: %d, %d, %d, %d", len(list), list[0].SchemaID, list[1].SchemaID, list[len(list)-1].SchemaID)
	}
	for i := range maxRings {
		if _, err := f.Check(Topic{Name: fmt.Sprint("t", i), Value: Part{Level: ID}}, batch(t, rec{value: []byte("x")}), from); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(f.rings.topics); n != maxRings {
		t.Errorf("%d rings, want %d", n, maxRings)
	}
}

func TestCorruptBatch(t *testing.T) {
	f := newFixture(t)
	b := record.NewBuilder(record.Options{})
	b.Append(1, nil, []byte("x"))
	raw, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-1] = 5 // one header too many
	rd := &record.Reader{}
	if err := rd.Reset(raw, 1<<20); err != nil {
		t.Fatal(err)
	}
	if refused, err := f.Check(Topic{Name: "orders", Value: Part{Level: ID}}, rd, Origin{}); err == nil || refused != nil {
		t.Errorf("a corrupt batch: %v, %v", refused, err)
	}
}

func TestParse(t *testing.T) {
	for word, want := range map[string]Level{"off": Off, "": Off, "ID": ID, "payload": Payload} {
		if got, err := ParseLevel(word); got != want || err != nil {
			t.Errorf("level %q: %v, %v", word, got, err)
		}
	}
	if _, err := ParseLevel("strict"); err == nil {
		t.Error("level strict is none")
	}
	for word, want := range map[string]Strategy{
		"topic": TopicName, "record": RecordName, "topic_record": TopicRecordName,
		"io.confluent.kafka.serializers.subject.RecordNameStrategy": RecordName,
	} {
		if got, err := ParseStrategy(word); got != want || err != nil {
			t.Errorf("strategy %q: %v, %v", word, got, err)
		}
	}
	if _, err := ParseStrategy("subject"); err == nil {
		t.Error("strategy subject is none")
	}
}

// FuzzCheck throws values and headers at every level and strategy.
func FuzzCheck(f *testing.F) {
	fx := newFixture(f)
	f.Add([]byte{0, 0, 0, 0, 3, 4, 2, 0, 8, 7}, []byte(nil), false)
	f.Add([]byte{14, 2, 'x'}, []byte{0, 0, 0, 0, 1}, true)
	f.Fuzz(func(t *testing.T, value, head []byte, has bool) {
		r := rec{key: value, value: value}
		if has {
			r.headers = []record.RecordHeader{header(schema.ValueHeader, head), header(schema.KeyHeader, head)}
		}
		for _, name := range []string{"orders", "proto", "json", "nothing"} {
			for i := range 12 {
				l, s := Level(i%4), Strategy(i/4)
				refused, err := fx.Check(Topic{Name: name, Key: Part{Level: l, Strategy: s}, Value: Part{Level: l, Strategy: s}}, batch(t, r), Origin{})
				if err != nil {
					t.Fatal(err)
				}
				for _, bad := range refused {
					if m := bad.Message(); m == "" || len(m) > 4*maxText+registry.MaxSubjectBytes {
						t.Fatalf("message of %d bytes", len(m))
					}
				}
			}
		}
	})
}

// BenchmarkCheck is the cost of one Avro record of 1 KB.
func BenchmarkCheck(b *testing.B) {
	reg, err := registry.Open(b.Context(), registry.Config{Engine: memory.New()})
	if err != nil {
		b.Fatal(err)
	}
	fields := make([]string, 0, 20)
	payload := []byte{}
	for i := range 10 {
		fields = append(fields, fmt.Sprintf(`{"name":"s%d","type":"string"}`, i), fmt.Sprintf(`{"name":"n%d","type":"long"}`, i))
		payload = append(binary.AppendVarint(payload, 92), strings.Repeat("x", 92)...)
		payload = binary.AppendVarint(payload, 1<<40)
	}
	text := `{"type":"record","name":"R","fields":[` + strings.Join(fields, ",") + `]}`
	v, err := reg.Register(b.Context(), "bench-value", registry.Request{Text: text})
	if err != nil {
		b.Fatal(err)
	}
	recs := make([]rec, 100)
	for i := range recs {
		recs[i] = rec{value: framed(int32(v.ID), payload...)}
	}
	rd := batch(b, recs...)
	check := New(Config{Registry: reg})
	for _, level := range []Level{Off, ID, Payload} {
		b.Run([]string{"off", "id", "payload"}[level], func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(payload) * len(recs)))
			for b.Loop() {
				rd.Rewind()
				if refused, err := check.Check(Topic{Name: "bench", Value: Part{Level: level}}, rd, Origin{}); err != nil || len(refused) > 0 {
					b.Fatalf("%+v, %v", refused, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(recs)), "ns/record")
		})
	}
}

// TestReport counts refusals by cause, and follows them by number.
func TestReport(t *testing.T) {
	f := newFixture(t)
	topic := Topic{Name: "orders", Value: Part{Level: Payload}}
	for range 3 {
		if _, err := f.Check(topic, batch(t, rec{value: framed(1, 14, 2, 0xff)}), Origin{ClientID: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	_, changed := f.Since("orders", TopicID{}, 3)
	if _, err := f.Check(topic, batch(t, rec{value: framed(99)}), Origin{ClientID: "b"}); err != nil {
		t.Fatal(err)
	}
	<-changed
	if list, _ := f.Since("orders", TopicID{}, 2); len(list) != 2 || list[0].Seq != 3 || list[1].ClientID != "b" {
		t.Errorf("since 2: %+v", list)
	}
	report := f.Report("orders", TopicID{})
	if len(report) != 2 || report[0].Records != 3 || report[0].Path != "$.note" || report[0].Reason != "" ||
		report[1].Records != 1 || report[1].ClientID != "b" || report[1].Reason != "unknown schema id 99" {
		t.Errorf("report: %+v", report)
	}
	if got := f.Report("other", TopicID{}); len(got) != 0 {
		t.Errorf("another topic: %+v", got)
	}
}
