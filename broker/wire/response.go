package wire

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// maxPooledBuffer is the largest buffer the pool keeps: a response of many
	// partitions must not pin its memory.
	maxPooledBuffer = 16 << 20
	// baseResponse is room for a response without record batches; larger ones
	// grow.
	baseResponse = 1 << 10
	// partitionResponse is room for what surrounds one partition's batches.
	partitionResponse = 128
)

// AppendResponse appends a response frame: size, response header, body. The
// header is the correlation id, and an empty tag section if the version is
// flexible; that of ApiVersions never has one, since a client asks before it
// knows what the broker speaks (KIP-511). dst is grown once for the batches of a
// Fetch response.
func AppendResponse(dst []byte, correlationID int32, resp kmsg.Response) []byte {
	dst = slices.Grow(dst, sizeHint(resp))
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	if resp.IsFlexible() && resp.Key() != KeyApiVersions {
		dst = append(dst, 0)
	}
	dst = resp.AppendTo(dst)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-sizeBytes))
	return dst
}

// sizeHint is about the size of a response.
func sizeHint(resp kmsg.Response) int {
	size := baseResponse
	switch f := resp.(type) {
	case *kmsg.FetchResponse:
		for i := range f.Topics {
			for j := range f.Topics[i].Partitions {
				size += partitionResponse + len(f.Topics[i].Partitions[j].RecordBatches)
			}
		}
	case *kmsg.ShareFetchResponse:
		for i := range f.Topics {
			for j := range f.Topics[i].Partitions {
				size += partitionResponse + len(f.Topics[i].Partitions[j].Records)
			}
		}
	}
	return size
}

// Buffer is a reusable byte buffer. Append to B and store the result in B.
type Buffer struct {
	B []byte
}

// buffers holds Buffers that are not in use.
var buffers = sync.Pool{New: func() any { return new(Buffer) }}

// GetBuffer returns an empty buffer.
func GetBuffer() *Buffer { return buffers.Get().(*Buffer) }

// Release gives the buffer back; nobody may use it or its bytes afterwards.
// Large ones are dropped.
func (b *Buffer) Release() {
	if cap(b.B) > maxPooledBuffer {
		return
	}
	b.B = b.B[:0]
	buffers.Put(b)
}
