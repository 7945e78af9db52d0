package protobuf

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tarn-io/tarn/schema/schematest"
)

// maker writes random files: messages of each other, of every kind of field, in
// proto2, proto3 and edition 2023.
type maker struct {
	*rand.Rand
	syntax   string
	messages int
	used     map[int]bool // field numbers of the message at hand
	groups   int
}

func (m *maker) pick(words ...string) string { return words[m.IntN(len(words))] }

// file is a text whose last message is the one to decode.
func (m *maker) file() string {
	m.syntax = m.pick("proto2", "proto3", "proto3", "2023")
	m.messages = 1 + m.IntN(4)
	head := fmt.Sprintf("syntax = %q;", m.syntax)
	if m.syntax == "2023" {
		head = `edition = "2023";` + m.pick("", "option features.field_presence = IMPLICIT;", "option features.repeated_field_encoding = EXPANDED;",
			"option features.utf8_validation = NONE;", "option features.message_encoding = DELIMITED;")
	}
	closed := ""
	if m.syntax == "2023" {
		closed = m.pick("", "option features.enum_type = CLOSED;")
	}
	parts := []string{head, "package r;", "enum E { " + closed + " A = 0; B = 1; C = 5; D = -3; }"}
	for i := range m.messages {
		parts = append(parts, m.message(i))
	}
	return strings.Join(parts, "\n")
}

func (m *maker) number() int {
	for {
		n := 1 + m.IntN(20)
		if m.IntN(10) == 0 {
			n = 1 + m.IntN(9000)
		}
		if !m.used[n] {
			m.used[n] = true
			return n
		}
	}
}

func (m *maker) message(i int) string {
	m.used = map[int]bool{}
	var fields []string
	for f := range 1 + m.IntN(8) {
		fields = append(fields, m.field(fmt.Sprintf("f%d", f)))
	}
	if m.IntN(3) == 0 {
		fields = append(fields, fmt.Sprintf("oneof o { %s c0 = %d; %s c1 = %d; }", m.typ(), m.number(), m.typ(), m.number()))
	}
	after := ""
	if m.syntax != "proto3" && m.IntN(3) == 0 {
		fields = append(fields, "extensions 10000 to 10009;")
		label := ""
		if m.syntax == "proto2" {
			label = "optional "
		}
		after = fmt.Sprintf("\nextend M%d { %s%s x%d = 10000; repeated %s y%d = 10001; }", i, label, m.typ(), i, m.typ(), i)
	}
	m.Shuffle(len(fields), func(a, b int) { fields[a], fields[b] = fields[b], fields[a] })
	return fmt.Sprintf("message M%d { %s }%s", i, strings.Join(fields, " "), after)
}

func (m *maker) typ() string {
	switch m.IntN(8) {
	case 0:
		return "E"
	case 1, 2:
		return fmt.Sprintf("M%d", m.IntN(m.messages))
	}
	return m.pick(append([]string{"float", "double", "bytes", "string", "string"}, keyTypes...)...)
}

var keyTypes = []string{"int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64", "bool", "string"}

func (m *maker) field(name string) string {
	n := m.number()
	switch {
	case m.IntN(7) == 0:
		return fmt.Sprintf("map<%s, %s> %s = %d;", m.pick(keyTypes...), m.typ(), name, n)
	case m.syntax == "proto2" && m.IntN(9) == 0:
		m.groups++
		return fmt.Sprintf("%s group G%d = %d { optional int32 x = 1; optional string s = 2; }", m.pick("optional", "repeated"), m.groups, n)
	}
	t := m.typ()
	scalar := t != "string" && t != "bytes" && t[0] != 'M'
	var label, option string
	switch m.syntax {
	case "proto2":
		label = m.pick("optional", "optional", "optional", "repeated", "repeated", "required")
		if t == "E" && label == "required" {
			label = "optional" // protobuf-go keeps numbers that a closed enum does not have, and takes it for set
		}
		if label == "repeated" && scalar {
			option = m.pick("", " [packed = true]")
		}
	case "proto3":
		label = m.pick("", "", "optional", "repeated")
		if label == "repeated" && scalar {
			option = m.pick("", " [packed = false]")
		}
	default:
		label = m.pick("", "", "repeated")
		switch {
		case label == "repeated" && scalar:
			option = m.pick("", " [features.repeated_field_encoding = EXPANDED]", " [features.repeated_field_encoding = PACKED]")
		case t[0] == 'M':
			option = m.pick("", " [features.message_encoding = DELIMITED]", " [features.message_encoding = LENGTH_PREFIXED]")
		case t == "E" || label == "repeated":
		default:
			option = m.pick("", " [features.field_presence = IMPLICIT]", " [features.field_presence = EXPLICIT]", " [features.field_presence = LEGACY_REQUIRED]")
		}
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s = %d%s;", label, t, name, n, option))
}

// spoil changes a payload in one of the ways that bytes go wrong.
func spoil(r *rand.Rand, payload []byte) []byte {
	if len(payload) == 0 {
		return []byte{byte(r.Uint32())}
	}
	i := r.IntN(len(payload))
	switch r.IntN(5) {
	case 0:
		payload[i] ^= 1 << r.IntN(8)
	case 1:
		payload[i] = byte(r.Uint32())
	case 2:
		return slices.Delete(payload, i, i+1)
	case 3:
		return payload[:i]
	case 4:
		return slices.Insert(payload, i, byte(r.Uint32()))
	}
	return payload
}

// TestDifferential holds random files and payloads, whole and spoiled, against
// protobuf-go: verdicts, and where its messages hold what ours do, rows.
func TestDifferential(t *testing.T) {
	schematest.Differential(t, "protobuf, against protobuf-go", 60, func(seed uint64, tally *schematest.Tally) {
		r := rand.New(rand.NewPCG(seed, 11))
		m := &maker{Rand: r}
		text := m.file()
		j, err := newJudge(t, text, -1)
		if err != nil {
			return // a feature that does not go with another
		}
		tally.Schemas++
		for i := range 60 {
			message := dynamicpb.NewMessage(j.md)
			filler{Rand: r}.message(message, 0)
			j.extend(filler{Rand: r}, message, 0)
			payload, err := proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(message)
			if err != nil {
				t.Fatal(err)
			}
			if i%4 == 1 {
				payload = shuffle(r, payload)
			}
			for range i / 20 {
				payload = spoil(r, payload)
			}
			name := fmt.Sprintf("seed %d, payload %d, %s", seed, i, text)
			if m.syntax == "proto3" && j.d != nil {
				tally.Count(checkAgainst(t, name, j.md, j.d, payload))
			} else {
				tally.Count(j.verdict(t, payload))
			}
		}
	})
}
