package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/twmb/franz-go/pkg/kgo"
)

// changeSchema is a change envelope as Debezium's connectors write it, around a row
// that begins with the fields of recordSchema.
const changeSchema = `{"type":"record","name":"Envelope","namespace":"crash.rows","fields":[` +
	`{"name":"before","type":["null",{"type":"record","name":"Value","fields":[` +
	`{"name":"producer","type":"int"},{"name":"seq","type":"long"},{"name":"slot","type":"int"}]}],"default":null},` +
	`{"name":"after","type":["null","Value"],"default":null},` +
	`{"name":"op","type":"string"},{"name":"ts_ms","type":["null","long"],"default":null}]}`

// change is one of a source's row.
type change struct {
	op            string // c, u, d, r, t or m; empty: the record has no value
	slot          int64  // the row's key, where before or after says it
	before, after bool
}

// drawChange draws a change of one of few rows, with what a source may leave out.
func drawChange(k *kindLoad, id identity, rng *rand.Rand) *kgo.Record {
	slot := rng.Int32N(80)
	r := &kgo.Record{Partition: slot % k.partitions, Key: fmt.Appendf(nil, "row-%d", slot)}
	c := change{op: "u", slot: int64(slot), before: rng.IntN(2) == 0, after: true}
	switch n := rng.IntN(100); {
	case n < 20:
		c.op, c.before = "c", false
	case n < 25:
		c.op, c.before = "r", false
	case n < 40:
		c.op, c.before, c.after = "d", n > 26, false // a few do not say which row
	case n < 50:
		return r // the tombstone that comes behind a delete
	case n < 52:
		c.op, c.before, c.after = "t", false, false
	case n < 54:
		c.op = "m"
	case n < 55:
		r.Key = nil
	}
	r.Value = c.encode(k.schemaID, id)
	return r
}

// encode is the change as Avro, of the row of a record.
func (c change) encode(schemaID int, id identity) []byte {
	b := make([]byte, 5, 64)
	binary.BigEndian.PutUint32(b[1:], uint32(schemaID))
	for _, there := range []bool{c.before, c.after} {
		if !there {
			b = binary.AppendVarint(b, 0)
			continue
		}
		b = binary.AppendVarint(b, 1)
		b = binary.AppendVarint(b, int64(id.producer()))
		b = binary.AppendVarint(b, id.seq())
		b = binary.AppendVarint(b, c.slot)
	}
	b = binary.AppendVarint(b, int64(len(c.op)))
	b = append(b, c.op...)
	return binary.AppendVarint(b, 0)
}

// parseChange is the way back, for values that encode has made.
func parseChange(r *kgo.Record) (c change) {
	if r.Value == nil {
		return c
	}
	b := r.Value[5:]
	next := func() int64 {
		v, n := binary.Varint(b)
		b = b[n:]
		return v
	}
	for _, there := range []*bool{&c.before, &c.after} {
		if *there = next() == 1; *there {
			_, _ = next(), next()
			c.slot = next()
		}
	}
	n := next()
	c.op = string(b[:n])
	return c
}

// deletes reports whether a change takes its row away.
func deletes(r *kgo.Record) bool {
	c := parseChange(r)
	return c.op == "" || c.op == "d"
}

// noChange reports whether a record changes no row that is named by its key.
func noChange(r *kgo.Record) bool {
	c := parseChange(r)
	return r.Key == nil || c.op == "t" || c.op == "m"
}

// slotOf is the key of a row by its column.
func slotOf(r *kgo.Record) string { return fmt.Sprint(parseChange(r).slot) }

// noSlot reports whether a record changes no row that is named by a column.
func noSlot(r *kgo.Record) bool {
	c := parseChange(r)
	return !c.before && !c.after || c.op == "t" || c.op == "m"
}
