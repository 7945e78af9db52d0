package share

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/broker/storage"
)

// Keys of items. A group's name may hold slashes: keys are read from the right.
const (
	keyGroup = "sharegroup/"
	keyState = "share/"
)

// key names a share-partition within a group.
type key struct {
	topic     storage.TopicID
	partition int32
}

func (k key) item(group string) string {
	return fmt.Sprintf("%s%s/%s/%d", keyState, group, k.topic, k.partition)
}

func (k key) tp() storage.TP { return storage.TP{Topic: k.topic, Partition: k.partition} }

// parseKey reads the key of a share-partition's item.
func parseKey(item string) (group string, k key, ok bool) {
	rest, ok := strings.CutPrefix(item, keyState)
	i := strings.LastIndexByte(rest, '/')
	if !ok || i < 0 {
		return "", k, false
	}
	n, err := strconv.ParseInt(rest[i+1:], 10, 32)
	if err != nil || n < 0 {
		return "", k, false
	}
	rest = rest[:i]
	if i = strings.LastIndexByte(rest, '/'); i < 0 || len(rest)-i-1 != 2*len(k.topic) {
		return "", k, false
	}
	for j := range k.topic {
		b, err := strconv.ParseUint(rest[i+1+2*j:i+3+2*j], 16, 8)
		if err != nil {
			return "", k, false
		}
		k.topic[j] = byte(b)
	}
	k.partition = int32(n)
	return rest[:i], k, true
}

// stateVersion is the first byte of a stored window.
const stateVersion = 1

// errState says that stored bytes are no window.
var errState = errors.New("not a share-partition's state")

// encode gives what is stored of a window. Numbers are unsigned varints:
//
//	version 1 (one byte) | start | number of spans | for each span:
//	  length | deliveries×2, plus 1 if it is done
//
// Locks are not stored, so after a restart what was acquired is available, with
// its deliveries counted. What a write is under way for is stored as it will be.
func (w *window) encode() []byte {
	var f window
	f.start, f.end = w.start, w.end
	f.spans = make([]span, 0, len(w.spans))
	for _, s := range w.spans {
		if s.op != 0 {
			s.become(s.next)
		} else if s.state == acquired {
			s.become(available)
		}
		f.spans = push(f.spans, s)
	}
	f.trim()
	b := append(make([]byte, 0, 16+4*len(f.spans)), stateVersion)
	b = binary.AppendUvarint(b, uint64(f.start))
	b = binary.AppendUvarint(b, uint64(len(f.spans)))
	for _, s := range f.spans {
		b = binary.AppendUvarint(b, uint64(s.last-s.first+1))
		n := uint64(s.count) << 1
		if s.state == done {
			n |= 1
		}
		b = binary.AppendUvarint(b, n)
	}
	return b
}

// decode reads what encode wrote.
func decode(b []byte) (window, error) {
	var w window
	if len(b) == 0 || b[0] != stateVersion {
		return w, errState
	}
	b, ok := b[1:], true
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > math.MaxInt64 {
			ok = false
			return 0
		}
		b = b[n:]
		return v
	}
	w.start = int64(number())
	w.end = w.start
	n := number()
	if !ok || n > uint64(len(b)) { // a span takes two bytes at least
		return w, errState
	}
	for range n {
		length, count := number(), number()
		if !ok || length == 0 || length > uint64(math.MaxInt64-w.end) || count>>1 > math.MaxInt16 {
			return w, errState
		}
		s := span{first: w.end, last: w.end + int64(length) - 1, count: int16(count >> 1)}
		if count&1 != 0 {
			s.state, s.count = done, 0
		}
		w.end = s.last + 1
		w.spans = push(w.spans, s)
	}
	if len(b) > 0 {
		return w, errState
	}
	w.trim()
	return w, nil
}
