// Package wire frames Kafka requests and responses: sizes, request and response
// headers, the versions served, error codes. Bodies are kmsg's; this package
// guards its decoder, which believes what a request says of itself. It imports
// nothing of ours.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Limits of a request frame in bytes, the four bytes of its size not counted.
const (
	// MaxProduceFrame is Kafka's socket.request.max.bytes: producers put the
	// batches of many partitions in one request.
	MaxProduceFrame = 100 << 20
	// MaxFrame is for all other requests. The largest real ones are the
	// assignments of big groups, and stay below 1 MiB.
	MaxFrame = 8 << 20
	// MaxFrameBeforeAuth is for connections that have not shown who they are:
	// the handshake needs a few hundred bytes, a Kerberos token some ten KiB.
	MaxFrameBeforeAuth = 1 << 20
	// firstRead is the memory a frame gets before its bytes arrive. It then
	// grows by what came, so that a size is no promise of ours: a hundred
	// connections that announce 100 MiB each cost 6 MiB.
	firstRead = 64 << 10
	// readGrowth is how many times larger a full buffer becomes: more copies
	// little, fewer believes little.
	readGrowth = 4

	sizeBytes = 4
	// MinFrame is a request header without client id: key, version, correlation
	// id.
	MinFrame = 2 + 2 + 4
)

// Errors of reading requests. After any of them the connection is of no more
// use: the caller closes it, as Kafka does. Only an ApiVersions request of an
// unsupported version is answered, with UnsupportedApiVersions.
var (
	// ErrFrameSize says that a frame's size is not positive or above the limit.
	ErrFrameSize = errors.New("request size out of bounds")
	// ErrUnknownKey says that the API is not served.
	ErrUnknownKey = errors.New("unknown API key")
	// ErrVersion says that the API is not served in this version.
	ErrVersion = errors.New("unsupported API version")
	// ErrMalformed says that the bytes are no request of their key and version.
	ErrMalformed = errors.New("malformed request")
)

// FrameLimit is the limit of a frame on an authenticated connection, or on a
// listener that asks for no authentication.
func FrameLimit(key int16) int {
	if key == KeyProduce {
		return MaxProduceFrame
	}
	return MaxFrame
}

// FrameLimitBeforeAuth is the limit until authentication has succeeded.
func FrameLimitBeforeAuth(int16) int { return MaxFrameBeforeAuth }

// ReadFrame reads one request frame and returns it without its size. limit says
// how large a request of an API key may be; the key is known after six bytes,
// before memory is taken. The frame is the caller's: decoded requests alias it.
//
// io.EOF means that the peer closed between frames, io.ErrUnexpectedEOF inside
// one; ErrFrameSize is a refusal; other errors are r's.
func ReadFrame(r io.Reader, limit func(key int16) int) ([]byte, error) {
	var head [sizeBytes + 2]byte
	if _, err := io.ReadFull(r, head[:sizeBytes]); err != nil {
		return nil, err
	}
	size := int(int32(binary.BigEndian.Uint32(head[:])))
	if size < MinFrame {
		return nil, fmt.Errorf("%w: %d bytes", ErrFrameSize, size)
	}
	if _, err := io.ReadFull(r, head[sizeBytes:]); err != nil {
		return nil, cut(err)
	}
	key := int16(binary.BigEndian.Uint16(head[sizeBytes:]))
	if most := limit(key); size > most {
		return nil, fmt.Errorf("%w: %d bytes for API key %d, limit %d", ErrFrameSize, size, key, most)
	}
	frame := make([]byte, min(size, firstRead))
	have := copy(frame, head[sizeBytes:])
	for {
		n, err := io.ReadFull(r, frame[have:])
		if have += n; err != nil {
			return nil, cut(err)
		}
		if have == size {
			return frame, nil
		}
		larger := make([]byte, min(size, readGrowth*len(frame)))
		copy(larger, frame)
		frame = larger
	}
}

// cut makes the end of a stream inside a frame an unexpected one.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
