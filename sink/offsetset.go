package sink

import (
	"fmt"
	"math/bits"

	"github.com/tarn-io/tarn/tables"
)

// maxSpread bounds how far apart the offsets of one set may lie, a bit each:
// 2^33 offsets take 1 GiB.
const maxSpread = 1 << 33

// offsetSet is a set of offsets that lie near each other, with a count for
// those that were added more than once.
type offsetSet struct {
	pages map[int64]*[pageWords]uint64 // by number
	first int64
	any   bool
	more  map[int64]int
}

const (
	pageWords   = 1024
	pageOffsets = pageWords * 64
)

// add adds off; false if it is too far from the first, or no offset.
func (o *offsetSet) add(off int64) bool {
	if !o.any {
		o.first, o.any, o.pages, o.more = off, true, map[int64]*[pageWords]uint64{}, map[int64]int{}
	}
	if d := off - o.first; off < 0 || d > maxSpread || -d > maxSpread {
		return false
	}
	page := o.pages[off/pageOffsets]
	if page == nil {
		page = new([pageWords]uint64)
		o.pages[off/pageOffsets] = page
	}
	i := off % pageOffsets
	bit := uint64(1) << (i % 64)
	if page[i/64]&bit != 0 {
		o.more[off] = max(1, o.more[off]) + 1
	}
	page[i/64] |= bit
	return true
}

func (o *offsetSet) has(off int64) bool {
	if off < 0 {
		return false
	}
	page := o.pages[off/pageOffsets]
	i := off % pageOffsets
	return page != nil && page[i/64]&(1<<(i%64)) != 0
}

// from counts the offsets at off and above.
func (o *offsetSet) from(off int64) (n int64) {
	for number, page := range o.pages {
		first := number * pageOffsets
		for i, word := range page {
			at := first + int64(i)*64
			switch {
			case at >= off:
			case at+64 <= off:
				continue
			default:
				word >>= off - at
			}
			n += int64(bits.OnesCount64(word))
		}
	}
	return n
}

// addTo adds a row's place to the set of its partition.
func addTo(sets map[int32]*offsetSet, id tables.RowID) error {
	set := sets[id.Partition]
	if set == nil {
		set = &offsetSet{}
		sets[id.Partition] = set
	}
	if !set.add(id.Offset) {
		return fmt.Errorf("partition %d offset %d is no offset, or too far from the first to compare", id.Partition, id.Offset)
	}
	return nil
}
