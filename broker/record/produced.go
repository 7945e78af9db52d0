package record

import (
	"errors"
	"fmt"
)

// ErrTimestampType says that a producer claims the broker's own timestamp type.
// Kafka answers it with INVALID_TIMESTAMP instead of INVALID_RECORD.
var ErrTimestampType = errors.New("producer set the LogAppendTime bit")

// CheckProduced checks what a producer sent for one partition, as far as that
// needs no decompression: exactly one batch of format v2, base offset 0, a right
// checksum, no control bit, a known codec, as many records as offsets, a sequence
// wherever there is a producer id (KIP-98), and no s2 in place of snappy. The
// records themselves are the Reader's to check: that their offsets are dense, and
// their number the header's. The Header is valid beside an error too, as soon as
// there is one.
//
// Errors: ErrCRC, ErrShort (both are damage on the way, which a client may try
// again), ErrMagic, ErrCorrupt, ErrCodec, ErrTimestampType.
func CheckProduced(b []byte) (Header, error) {
	if len(b) == 0 {
		return Header{}, fmt.Errorf("%w: no batch", ErrCorrupt)
	}
	h, err := ParseHeader(b)
	if err != nil {
		return Header{}, err
	}
	if len(b) != h.Size() {
		return Header{}, fmt.Errorf("%w: %d bytes after the first batch, expected one batch", ErrCorrupt, len(b)-h.Size())
	}
	if err := CheckCRC(b); err != nil {
		return Header{}, err
	}
	if err := h.checkProduced(); err != nil {
		return h, err
	}
	if h.Codec() == Snappy {
		return h, checkSnappy(b[HeaderSize:])
	}
	return h, nil
}

func (h Header) checkProduced() error {
	switch {
	case h.BaseOffset != 0:
		return fmt.Errorf("%w: base offset %d, expected 0", ErrCorrupt, h.BaseOffset)
	case h.Control():
		return fmt.Errorf("%w: producers may not send control batches", ErrCorrupt)
	case h.Attributes&attrDeleteHorizon != 0:
		// It would let go of its tombstones at a time of the producer's.
		return fmt.Errorf("%w: producers may not set a delete horizon", ErrCorrupt)
	case h.Codec() > Zstd:
		return fmt.Errorf("%w: %d", ErrCodec, h.Codec())
	case h.Count <= 0:
		return fmt.Errorf("%w: %d records", ErrCorrupt, h.Count)
	case int64(h.LastOffsetDelta)+1 != int64(h.Count):
		return fmt.Errorf("%w: %d records, but last offset delta %d", ErrCorrupt, h.Count, h.LastOffsetDelta)
	case h.Idempotent() && h.BaseSequence < 0:
		return fmt.Errorf("%w: producer id %d with base sequence %d", ErrCorrupt, h.ProducerID, h.BaseSequence)
	case h.Idempotent() && h.ProducerEpoch < 0:
		return fmt.Errorf("%w: producer id %d with epoch %d", ErrCorrupt, h.ProducerID, h.ProducerEpoch)
	case h.Transactional() && !h.Idempotent():
		return fmt.Errorf("%w: transactional without a producer id", ErrCorrupt)
	case h.LogAppendTime():
		return ErrTimestampType
	}
	return nil
}
