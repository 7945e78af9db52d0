package avro

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
)

// generator makes random schema texts and payloads of them from a seed.
type generator struct {
	*rand.Rand
	names int
	open  []string // the records around
}

func (g *generator) name(prefix string) string {
	g.names++
	return fmt.Sprintf("%s%d", prefix, g.names)
}

func (g *generator) pick(words ...string) string { return words[g.IntN(len(words))] }

// record is a random record schema.
func (g *generator) record(depth int) string {
	name := g.name("R")
	g.open = append(g.open, name)
	defer func() { g.open = g.open[:len(g.open)-1] }()
	fields := make([]string, 1+g.IntN(5))
	for i := range fields {
		fields[i] = fmt.Sprintf(`{"name":"f%d","type":%s}`, i, g.typ(depth+1, true))
	}
	return fmt.Sprintf(`{"type":"record","name":"%s","fields":[%s]}`, name, strings.Join(fields, ","))
}

func (g *generator) typ(depth int, union bool) string {
	n := 20
	if depth > 4 {
		n = 13
	}
	switch g.IntN(n) {
	case 0, 1, 2, 3, 4, 5, 6, 7:
		return `"` + g.pick("boolean", "int", "long", "float", "double", "bytes", "string", "string") + `"`
	case 8:
		return fmt.Sprintf(`{"type":"int","logicalType":"%s"}`, g.pick("date", "time-millis"))
	case 9, 10:
		return fmt.Sprintf(`{"type":"long","logicalType":"%s"}`, g.pick("time-micros", "timestamp-millis", "timestamp-micros",
			"timestamp-nanos", "local-timestamp-millis", "local-timestamp-micros", "local-timestamp-nanos"))
	case 11:
		precision := 1 + g.IntN(45)
		return fmt.Sprintf(`{"type":"bytes","logicalType":"decimal","precision":%d,"scale":%d}`, precision, g.IntN(precision+1))
	case 12:
		return g.fixedOrEnum()
	case 13, 14:
		return fmt.Sprintf(`{"type":"array","items":%s}`, g.typ(depth+1, true))
	case 15:
		return fmt.Sprintf(`{"type":"map","values":%s}`, g.typ(depth+1, true))
	case 16:
		if len(g.open) > 0 {
			back := g.open[g.IntN(len(g.open))]
			return fmt.Sprintf(g.pick(`["null","%s"]`, `{"type":"array","items":"%s"}`, `{"type":"map","values":"%s"}`)[0:], back)
		}
	case 17, 18:
		if union {
			return g.union(depth)
		}
	}
	return g.record(depth)
}

func (g *generator) fixedOrEnum() string {
	switch g.IntN(4) {
	case 0:
		return fmt.Sprintf(`{"type":"enum","name":"%s","symbols":["A","B","C"]}`, g.name("E"))
	case 1:
		return fmt.Sprintf(`{"type":"fixed","name":"%s","size":12,"logicalType":"duration"}`, g.name("F"))
	case 2:
		return fmt.Sprintf(`{"type":"fixed","name":"%s","size":%d,"logicalType":"decimal","precision":2,"scale":1}`, g.name("F"), 1+g.IntN(20))
	}
	return fmt.Sprintf(`{"type":"fixed","name":"%s","size":%d}`, g.name("F"), 1+g.IntN(20))
}

// union avoids two branches of the same unnamed type.
func (g *generator) union(depth int) string {
	branches := []string{`"null"`, g.scalar()}
	if g.IntN(2) == 0 {
		branches = []string{`"long"`, `"string"`, g.fixedOrEnum(), g.record(depth + 1), `{"type":"array","items":"int"}`}
		if g.IntN(2) == 0 {
			branches = append(branches, `"null"`)
		}
	}
	g.Shuffle(len(branches), func(i, j int) { branches[i], branches[j] = branches[j], branches[i] })
	return "[" + strings.Join(branches, ",") + "]"
}

func (g *generator) scalar() string { return g.typ(10, false) }

// payload appends a random value of the type. Containers get emptier with
// depth, so that recursive values end.
func (g *generator) payload(b []byte, t *typ, depth int) []byte {
	switch t.kind {
	case kindBoolean:
		return append(b, byte(g.IntN(2)))
	case kindInt:
		return binary.AppendVarint(b, int64(int32(g.number(t))))
	case kindLong:
		return binary.AppendVarint(b, g.number(t))
	case kindFloat:
		return binary.LittleEndian.AppendUint32(b, g.Uint32())
	case kindDouble:
		return binary.LittleEndian.AppendUint64(b, g.Uint64())
	case kindBytes:
		if t.logical == "decimal" {
			return append(b, 2, byte(g.IntN(10)))
		}
		return g.bytes(b, g.IntN(20))
	case kindString:
		return g.text(b)
	case kindFixed:
		if t.logical == "decimal" {
			return append(append(b, make([]byte, t.size-1)...), byte(g.IntN(10)))
		}
		for range t.size {
			b = append(b, byte(g.Uint32()))
		}
		return b
	case kindEnum:
		return binary.AppendVarint(b, int64(g.IntN(len(t.symbols))))
	case kindUnion:
		i := g.IntN(len(t.types))
		if depth > 8 {
			for j, branch := range t.types {
				if branch.kind != kindRecord && branch.kind != kindArray {
					i = j
				}
			}
		}
		return g.payload(binary.AppendVarint(b, int64(i)), t.types[i], depth+1)
	case kindArray, kindMap:
		return g.blocks(b, t, depth)
	}
	for _, f := range t.fields {
		b = g.payload(b, f.typ, depth+1)
	}
	return b
}

// number fits the logical type's range.
func (g *generator) number(t *typ) int64 {
	switch t.logical {
	case "time-millis":
		return g.Int64N(86_400_000)
	case "time-micros":
		return g.Int64N(86_400_000_000)
	}
	v := int64(g.Uint64()) >> g.IntN(64)
	if strings.HasSuffix(t.logical, "millis") {
		v >>= 10
	}
	return v
}

func (g *generator) bytes(b []byte, n int) []byte {
	b = binary.AppendVarint(b, int64(n))
	for range n {
		b = append(b, byte(g.Uint32()))
	}
	return b
}

func (g *generator) text(b []byte) []byte {
	s := strings.Repeat(g.pick("a", "é", "日本", "\"\n", "😀", "plain words "), g.IntN(12))
	return append(binary.AppendVarint(b, int64(len(s))), s...)
}

func (g *generator) blocks(b []byte, t *typ, depth int) []byte {
	for blocks := g.IntN(3); blocks > 0 && depth < 8; blocks-- {
		n := 1 + g.IntN(3)
		var items []byte
		for range n {
			if t.kind == kindMap {
				items = append(items, 4, 'k', byte('a'+g.IntN(26)))
			}
			items = g.payload(items, t.elem, depth+1)
		}
		if g.IntN(2) == 0 {
			b = binary.AppendVarint(binary.AppendVarint(b, int64(-n)), int64(len(items)))
		} else {
			b = binary.AppendVarint(b, int64(n))
		}
		b = append(b, items...)
	}
	return append(b, 0)
}

// spoil changes a payload in one of the ways that bytes go wrong.
func (g *generator) spoil(p []byte) []byte {
	p = append([]byte(nil), p...)
	if len(p) == 0 {
		return append(p, byte(g.Uint32()))
	}
	switch g.IntN(4) {
	case 0:
		return p[:g.IntN(len(p))]
	case 1:
		return append(p, byte(g.Uint32()))
	case 2:
		p[g.IntN(len(p))] ^= 1 << g.IntN(8)
	case 3:
		p[g.IntN(len(p))] = byte(g.Uint32())
	}
	return p
}
