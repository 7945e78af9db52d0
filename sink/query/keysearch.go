package query

import (
	"hash/maphash"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// KeySearch is a search for one key outside of SQL: it knows what scans of SQL noted of
// the log (DECISIONS.md, 158), and notes what it passes itself. One goroutine.
type KeySearch struct {
	known *blocks
	hash  uint64
	maker *blockMaker
}

// KeySearch looks for the committed records with a key, as bytes.
func (e *Engine) KeySearch(key []byte) *KeySearch {
	return &KeySearch{known: e.blocks, hash: maphash.Bytes(e.blocks.seed, key)}
}

// Block is the stretch of offsets that is noted as one, in which an offset lies: from
// the first to below to.
func (s *KeySearch) Block(offset int64) (from, to int64) {
	n := offset >> s.known.shift
	return n << s.known.shift, (n + 1) << s.known.shift
}

// Without reports whether the block with an offset is known to have no record with the
// key, and none whose key has the prefix of a schema; ms are the least and the greatest
// timestamp of its records. The least is above the greatest if it has none.
func (s *KeySearch) Without(tp storage.TP, offset int64) (ms [2]int64, ok bool) {
	k := s.known.at(tp, offset)
	if k == nil || k.prefixed || k.has(s.hash) {
		return ms, false
	}
	return k.ms, true
}

// Begin begins to note blocks, at the beginning of one or of the log. All batches behind
// it have to be handed in, in their order, aborted ones and markers too, and of the others
// each record from there on.
func (s *KeySearch) Begin(tp storage.TP, from int64) {
	if s.maker == nil {
		s.maker = newBlockMaker(s.known, tp)
	}
	s.maker.tp, s.maker.batch = tp, 0
	s.maker.begin(from, true)
}

// Batch notes a batch, of which records from an offset on follow.
func (s *KeySearch) Batch(h record.Header, at int64) { s.maker.open(h, at) }

// Add notes a record of the batch that was noted last.
func (s *KeySearch) Add(rec *record.Record) { s.maker.add(rec) }

// End ends below an offset: blocks that end there or before are remembered.
func (s *KeySearch) End(to int64) { s.maker.close(to) }
