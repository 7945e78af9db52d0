package query

import (
	"hash/maphash"
	"math"
	"math/bits"
	"slices"
	"sync"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// Limits of what is remembered of logs.
const (
	// blockBits: a block is 1,024 offsets, a quarter of a megabyte or so. Larger ones
	// would leave more at the log's end, where a block is not full yet.
	blockBits = 10
	// maxBlocksBytes bounds the blocks of all logs: those of 14 million records whose
	// keys are all different.
	maxBlocksBytes = 16 << 20
	// blockOverhead is what a block costs besides its bits.
	blockOverhead = 192
	// bitsOfRecord is how many bits a block has for each of its offsets while it is
	// made; what is not needed is folded away.
	bitsOfRecord = 16
	// probes is how many bits stand for a key. With half of all bits set, three keys
	// in a hundred that are not there seem to be.
	probes = 5
)

// block is what is known of a stretch of one log's offsets: which keys its committed
// records have, by a Bloom filter, and from when to when they are. Records below the
// last stable offset never change, and none is added: compaction and trimming only
// take some away, so what was true of a block stays true. Immutable.
type block struct {
	to      int64 // first offset behind it; behind it and others in which nothing is
	bytes   int64 // of the batches that it had, with those that reach into it
	batches int64
	ms      [2]int64 // least and greatest timestamp
	bits    []uint64 // their number is a power of two
	// prefixed: some key begins as those with a schema do, so that its text is not its bytes.
	prefixed bool
}

// blockID names a block. A topic made again has another id.
type blockID struct {
	tp storage.TP
	n  int64 // offset >> blocks.shift
}

// blocks are those of all logs that are remembered. Safe for concurrent use.
type blocks struct {
	seed  maphash.Seed
	shift int   // a block has 1<<shift offsets
	max   int64 // bytes

	mu    sync.RWMutex
	by    map[blockID]*block // guarded by mu
	bytes int64              // guarded by mu
}

func newBlocks(shift int, maxBytes int64) *blocks {
	return &blocks{seed: maphash.MakeSeed(), shift: shift, max: maxBytes, by: map[blockID]*block{}}
}

// at is the block with an offset, nil if it is not known.
func (s *blocks) at(tp storage.TP, offset int64) *block {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.by[blockID{tp, offset >> s.shift}]
}

func (k *block) size() int64 { return blockOverhead + 8*int64(cap(k.bits)) }

// put remembers a block. Which others go for it is left to chance: of a log beyond the
// bound that is read from one end to the other again and again, the oldest block would
// always be the one that is needed next.
func (s *blocks) put(id blockID, k *block) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.by[id]; old != nil {
		s.bytes -= old.size()
		delete(s.by, id)
	}
	for other, old := range s.by {
		if s.bytes+k.size() <= s.max {
			break
		}
		s.bytes -= old.size()
		delete(s.by, other)
	}
	if s.bytes+k.size() <= s.max {
		s.by[id], s.bytes = k, s.bytes+k.size()
	}
}

// bitsOf calls f with the places of a key's bits, before they are cut to the number
// of bits that there are, until f returns false.
func bitsOf(hash uint64, f func(at uint64) bool) {
	step := hash>>32 | 1
	for i := range uint64(probes) {
		if !f(hash + i*step) {
			return
		}
	}
}

// may reports whether the block may have records within the bounds, whose keys have
// the given hashes.
func (k *block) may(b *bounds, hashes []uint64) bool {
	if k.ms[0] > b.ms[1] || k.ms[1] < b.ms[0] {
		return false
	}
	return b.keys == nil || slices.ContainsFunc(hashes, k.has)
}

// has reports whether the block may have a key with a hash.
func (k *block) has(hash uint64) bool {
	all := true
	bitsOf(hash, func(at uint64) bool {
		at &= uint64(len(k.bits))*64 - 1
		all = k.bits[at/64]&(1<<(at%64)) != 0
		return all
	})
	return all
}

// blockMaker makes blocks of what a scan passes. One goroutine.
type blockMaker struct {
	s     *blocks
	tp    storage.TP
	n     int64 // the block at hand
	whole bool  // it was seen from its beginning on
	made  block
	batch int64    // bytes of the batch at hand, 0 between batches
	bits  []uint64 // of the block at hand
}

func newBlockMaker(s *blocks, tp storage.TP) *blockMaker {
	return &blockMaker{s: s, tp: tp, bits: make([]uint64, max(1, bitsOfRecord<<s.shift/64))}
}

// begin begins at an offset; first says that the log has nothing before it.
func (m *blockMaker) begin(at int64, first bool) {
	m.clear(at >> m.s.shift)
	m.whole = first || at == m.n<<m.s.shift
}

func (m *blockMaker) clear(n int64) {
	m.n, m.whole = n, true
	m.made = block{ms: [2]int64{math.MaxInt64, math.MinInt64}}
	clear(m.bits)
	if m.batch > 0 {
		m.made.bytes, m.made.batches = m.batch, 1
	}
}

// reach says that all records before an offset were handed in.
func (m *blockMaker) reach(offset int64) {
	n := offset >> m.s.shift
	if n <= m.n {
		return
	}
	if m.whole {
		k := m.made
		k.to, k.bits = n<<m.s.shift, append([]uint64(nil), halved(m.bits)...)
		m.s.put(blockID{m.tp, m.n}, &k)
	}
	m.clear(n)
}

// open begins a batch, of which records from an offset on count.
func (m *blockMaker) open(h record.Header, at int64) {
	m.reach(max(at, h.BaseOffset))
	m.batch = int64(h.Size())
	m.made.bytes += m.batch
	m.made.batches++
}

// close ends a batch: all before an offset was handed in.
func (m *blockMaker) close(at int64) {
	m.batch = 0
	m.reach(at)
}

// add takes a record.
func (m *blockMaker) add(rec *record.Record) {
	m.reach(rec.Offset)
	m.made.ms[0], m.made.ms[1] = min(m.made.ms[0], rec.Timestamp), max(m.made.ms[1], rec.Timestamp)
	if rec.Key == nil {
		return
	}
	m.made.prefixed = m.made.prefixed || len(rec.Key) > 0 && rec.Key[0] == 0
	mask := uint64(len(m.bits))*64 - 1
	bitsOf(maphash.Bytes(m.s.seed, rec.Key), func(at uint64) bool {
		at &= mask
		m.bits[at/64] |= 1 << (at % 64)
		return true
	})
}

// halved halves bits as long as no more than half of them are set then: keys are mostly
// fewer than records.
func halved(of []uint64) []uint64 {
	for len(of) > 1 {
		half, ones := len(of)/2, 0
		for i := range half {
			ones += bits.OnesCount64(of[i] | of[half+i])
		}
		if ones > half*64/2 {
			break
		}
		for i := range half {
			of[i] |= of[half+i]
		}
		of = of[:half]
	}
	return of
}

// remember sets out what is known of the log for a scan that looks for few of its
// records; others do not ask, and make nothing.
func (s *logScan) remember(from int64) {
	if s.b.keys == nil && s.b.ms[1] == math.MaxInt64 {
		return
	}
	known := s.r.s.engine.blocks
	for _, k := range s.b.keys {
		s.hashes = append(s.hashes, maphash.Bytes(known.seed, k))
	}
	s.maker = newBlockMaker(known, s.log.TP())
	s.maker.begin(from, from <= s.log.Start())
}

// ahead is where from an offset on there may be records within the bounds, and how
// much to read there: not more than what lies before the next that may be passed over.
func (s *logScan) ahead(at int64) (next int64, room int) {
	if s.maker == nil {
		return at, readBytes
	}
	known, tp := s.maker.s, s.maker.tp
	for next = at; next < s.to; {
		k := known.at(tp, next)
		if k == nil {
			return next, readBytes
		}
		if k.may(s.b, s.hashes) {
			break
		}
		s.r.s.out.Read.BatchesPassed += k.batches
		next = k.to
	}
	bytes := int64(0)
	for pos := next; pos < s.to && bytes < readBytes; {
		k := known.at(tp, pos)
		if k == nil {
			return next, readBytes
		}
		if !k.may(s.b, s.hashes) {
			break
		}
		bytes, pos = bytes+k.bytes, k.to
	}
	return next, int(min(bytes, readBytes))
}
