package main

import (
	"bytes"
	"context"
	"errors"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/sink/query"
)

// keyPause is after how many records without one of the key a merge tells how far it is.
const keyPause = 16 << 10

// keyBlocks is how many blocks are read at once at most, where none of them is known: a
// batch may be as long, and is unpacked as a whole.
const keyBlocks = 16

// errMore says that a merge for a key has not found a record yet, and may be asked again.
var errMore = errors.New("nothing found so far")

// mergeKey is the key that a merge gives the records of; whose key may be it: one with
// the prefix of a schema is given, too. One goroutine.
type mergeKey struct {
	*query.KeySearch
	key   []byte
	pause int64 // records that are read at once, keyPause or fewer

	read   int64 // offsets that were read
	passed int64 // and those that were not, since the key is known not to be there

	noting  bool  // what is read is noted, for it is a whole block
	any     bool  // a record was seen since the window began
	ms      int64 // timestamp of that record, backward the first, else the last
	forward bool
}

// onlyKey has the merge give no other records than those that may have a key. It reads
// no more than scan records before it tells how far it is.
func (m *merge) onlyKey(s *query.KeySearch, key string, scan int64) {
	m.key = &mergeKey{KeySearch: s, key: []byte(key), pause: min(scan, keyPause), forward: !m.backward}
	for _, p := range m.parts {
		p.key = m.key
	}
}

// saw takes note of a record of the log, and reports whether it may have the key.
func (k *mergeKey) saw(rec *record.Record) bool {
	if k.noting {
		k.Add(rec)
	}
	if k.forward || !k.any {
		k.any, k.ms = true, rec.Timestamp
	}
	return rec.Key != nil && bytes.Equal(rec.Key, k.key) || len(rec.Key) > 0 && rec.Key[0] == 0
}

// over reports whether nothing is left to look at.
func (p *mergePart) over(backward bool) bool {
	if p.start = max(p.start, p.log.Start()); backward {
		return p.pos <= p.start
	}
	p.pos = max(p.pos, p.start)
	return p.pos >= p.end
}

// look goes through the next block for the key, or passes it over, and says in front
// which time it has come to: what is next in other partitions may be nearer.
func (p *mergePart) look(ctx context.Context, backward bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	k, at := p.key, p.pos
	if backward {
		at--
	}
	if ms, ok := k.Without(p.log.TP(), at); ok {
		p.pass(backward, at, ms)
		return nil
	}
	was := p.pos
	k.any = false
	from, to := p.unknown(backward, at)
	if err := p.lookInto(ctx, backward, max(from, p.pos-k.pause), min(to, p.pos+k.pause)); err != nil {
		return err
	}
	k.read += max(p.pos-was, was-p.pos)
	if k.any {
		p.front = k.ms
	}
	return nil
}

// pass passes the block with an offset over, whose records are of the times ms.
func (p *mergePart) pass(backward bool, at int64, ms [2]int64) {
	from, to := p.key.Block(at)
	end, front := min(to, p.end), ms[1]
	if backward {
		end, front = max(from, p.start), ms[0]
	}
	p.key.passed += max(end-p.pos, p.pos-end)
	p.pos = end
	if ms[0] <= ms[1] {
		p.front = front
	}
}

// unknown is the stretch of blocks that begins with that of an offset, in the direction
// of the search, and may have the key: more of them the longer it goes on.
func (p *mergePart) unknown(backward bool, at int64) (from, to int64) {
	from, to = p.key.Block(at)
	size := to - from
	p.blocks = min(max(2*p.blocks, 1), keyBlocks)
	for range p.blocks - 1 {
		next := to
		if backward {
			next = from - 1
		}
		if next < p.start || next >= p.end {
			break
		}
		if _, ok := p.key.Without(p.log.TP(), next); ok {
			break
		}
		if backward {
			from -= size
		} else {
			to += size
		}
	}
	return max(from, p.start), min(to, p.end)
}

// lookInto reads what lies ahead, from an offset or to below another. Backward, the
// blocks that are read whole are noted.
func (p *mergePart) lookInto(ctx context.Context, backward bool, from, to int64) error {
	if !backward {
		return p.forward(ctx, to)
	}
	k, was := p.key, p.pos
	if first, _ := k.Block(from); from == max(first, p.start) {
		k.noting = true
		k.Begin(p.log.TP(), from)
		defer func() { k.noting = false }()
	}
	err := p.backward(ctx, from)
	if err == nil && k.noting {
		k.End(was)
	}
	return err
}
