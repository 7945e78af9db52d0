package record

import (
	"encoding/binary"
	"fmt"
)

// Key and value of a control record (KIP-98):
//
//	key:   version int16 = 0 | type int16, 0 abort, 1 commit
//	value: version int16 = 0 | coordinator epoch int32
const (
	markerAbort  = 0
	markerCommit = 1
	markerSize   = HeaderSize + 17 // its one record has 17 bytes with its length
)

// Marker is the end of a transaction as it stands in a partition: a control
// batch of one record that takes one offset and that consumers skip.
type Marker struct {
	ProducerID       int64
	ProducerEpoch    int16
	Commit           bool // false: abort
	CoordinatorEpoch int32
	Timestamp        int64 // Unix ms
}

// Batch builds the marker's control batch at base offset 0.
func (m Marker) Batch() ([]byte, error) {
	key, value := make([]byte, 4), make([]byte, 6)
	if m.Commit {
		binary.BigEndian.PutUint16(key[2:], markerCommit)
	}
	binary.BigEndian.PutUint32(value[2:], uint32(m.CoordinatorEpoch))
	b := NewBuilder(Options{
		Producer:      &Producer{ID: m.ProducerID, Epoch: m.ProducerEpoch, BaseSequence: -1},
		Transactional: true, Control: true,
	})
	b.Append(m.Timestamp, key, value)
	return b.Bytes()
}

// ReadMarker reads a control batch that ends a transaction. Errors: those of
// Reader, and ErrCorrupt if the batch is anything else.
func ReadMarker(batch []byte) (Marker, error) {
	var r Reader
	if err := r.Reset(batch, markerSize); err != nil {
		return Marker{}, err
	}
	if !r.Header().Control() || !r.Next() {
		return Marker{}, fmt.Errorf("%w: not a control batch with a record", ErrCorrupt)
	}
	h, rec := r.Header(), r.Record()
	// Later versions may append fields, so only the first ones are looked at.
	if len(rec.Key) < 4 || len(rec.Value) < 6 {
		return Marker{}, fmt.Errorf("%w: marker with key of %d and value of %d bytes", ErrCorrupt, len(rec.Key), len(rec.Value))
	}
	kind := binary.BigEndian.Uint16(rec.Key[2:])
	if kind != markerAbort && kind != markerCommit {
		return Marker{}, fmt.Errorf("%w: control record of type %d", ErrCorrupt, kind)
	}
	return Marker{
		ProducerID: h.ProducerID, ProducerEpoch: h.ProducerEpoch, Commit: kind == markerCommit,
		CoordinatorEpoch: int32(binary.BigEndian.Uint32(rec.Value[2:])), Timestamp: rec.Timestamp,
	}, nil
}
