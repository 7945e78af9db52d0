package sqlite

import (
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// maxChunkBytes is where a chunk's data ends, unless a single batch is larger.
// A larger row is no faster to write and dearer to read a piece of
// (measured: README.md).
const maxChunkBytes = 256 << 10

// chunkWriter packs batches into chunks: a run for each log, batches one after
// another. Batches must come grouped by log, and in offset order. It is used by
// one goroutine.
type chunkWriter struct {
	limit  int // bytes of data at which a chunk ends
	insert func(id int64, dir, data []byte) error

	next   int64 // id of the next chunk
	dir    dirBuilder
	parts  [][]byte // its data in pieces that alias the caller's bytes
	size   int      // bytes of parts
	sealed bool     // the next batch begins a new run

	dirBuf, dataBuf []byte // reused: insert keeps neither
	placed          []placed
}

// placed is a run that now has a chunk.
type placed struct {
	log int64
	run run
}

// begin starts a set of chunks whose first has the given id.
func (c *chunkWriter) begin(next int64) {
	c.next, c.placed, c.sealed = next, c.placed[:0], false
	c.clear()
}

func (c *chunkWriter) clear() {
	c.dir.reset()
	clear(c.parts)
	c.parts, c.size = c.parts[:0], 0
}

// addAll adds all of b's batches, which are valid.
func (c *chunkWriter) addAll(log int64, b []byte) error {
	for h, batch := range storage.Batches(b) {
		if err := c.add(log, h, batch); err != nil {
			return err
		}
	}
	return nil
}

func (c *chunkWriter) add(log int64, h record.Header, batch []byte) error {
	if c.size > 0 && c.size+len(batch) > c.limit {
		if err := c.flush(); err != nil {
			return err
		}
	}
	if c.sealed || !c.dir.fits(log, h) {
		c.dir.start(log, h)
		c.sealed = false
	}
	c.dir.add(h)
	c.push(batch)
	return nil
}

// push appends to data. A batch that follows the last one in the caller's
// memory lengthens that piece, so that a large append is not copied.
func (c *chunkWriter) push(batch []byte) {
	c.size += len(batch)
	if n := len(c.parts); n > 0 {
		last := c.parts[n-1]
		if cap(last)-len(last) >= len(batch) && &last[:len(last)+1][len(last)] == &batch[0] {
			c.parts[n-1] = last[:len(last)+len(batch)]
			return
		}
	}
	c.parts = append(c.parts, batch)
}

// seal keeps the next batch out of the last run, whatever its offset: between
// them may lie batches of other chunks.
func (c *chunkWriter) seal() { c.sealed = true }

// flush writes the chunk under way, if there is one.
func (c *chunkWriter) flush() error {
	if c.size == 0 {
		return nil
	}
	data := c.parts[0]
	if len(c.parts) > 1 {
		c.dataBuf = c.dataBuf[:0]
		for _, p := range c.parts {
			c.dataBuf = append(c.dataBuf, p...)
		}
		data = c.dataBuf
	}
	c.dirBuf = c.dir.encode(c.dirBuf[:0])
	if err := c.insert(c.next, c.dirBuf, data); err != nil {
		return err
	}
	pos := uint32(0)
	for i := range c.dir.heads {
		r := c.dir.heads[i].run(c.next, pos)
		c.placed = append(c.placed, placed{c.dir.heads[i].log, r})
		pos += r.bytes
	}
	c.next++
	c.clear()
	if cap(c.dataBuf) > 4*maxChunkBytes {
		c.dataBuf = nil // one huge batch should not be remembered
	}
	return nil
}
