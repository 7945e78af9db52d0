package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Request is a frame with its header read and its body not yet.
//
// Request header v1, and v2 for flexible versions (KIP-482):
//
//	key int16 | version int16 | correlation id int32 |
//	client id: length int16, -1 null, never compact | tags, v2 only | body
type Request struct {
	Key, Version  int16
	CorrelationID int32
	ClientID      string // "" if null
	Body          []byte // aliases the frame
}

// ParseRequest reads the header of a frame. Errors: ErrUnknownKey for an API
// that is not served, ErrMalformed. A version that is not served is no error
// here, so that ApiVersions can be answered: Decode refuses it.
func ParseRequest(frame []byte) (Request, error) {
	if len(frame) < MinFrame {
		return Request{}, fmt.Errorf("%w: %d bytes are no header", ErrMalformed, len(frame))
	}
	r := Request{
		Key:           int16(binary.BigEndian.Uint16(frame)),
		Version:       int16(binary.BigEndian.Uint16(frame[2:])),
		CorrelationID: int32(binary.BigEndian.Uint32(frame[4:])),
	}
	served, ok := Lookup(r.Key)
	body := kmsg.RequestForKey(r.Key)
	if !ok || body == nil {
		return r, fmt.Errorf("%w: %d", ErrUnknownKey, r.Key)
	}
	if !served.Has(r.Version) {
		return r, nil // nothing more can be known of its bytes
	}
	body.SetVersion(r.Version)
	w := walker{b: frame[MinFrame:]}
	r.ClientID = string(w.take(w.length16()))
	if body.IsFlexible() {
		w.tags(nil)
	}
	if w.bad {
		return r, fmt.Errorf("%w: header of %s v%d", ErrMalformed, served.Name, r.Version)
	}
	r.Body = w.b
	return r, nil
}

// Decode reads a request's body. Record batches in the result alias the frame;
// strings do not. Errors: ErrUnknownKey, ErrVersion, ErrMalformed. Nothing is
// allocated for a body before it has been walked and found to hold what it
// claims, so memory stays below 300 bytes for each of its Elements.
func Decode(r Request) (kmsg.Request, error) {
	served, ok := Lookup(r.Key)
	body := kmsg.RequestForKey(r.Key)
	if !ok || body == nil {
		return nil, fmt.Errorf("%w: %d", ErrUnknownKey, r.Key)
	}
	if !served.Has(r.Version) {
		return nil, fmt.Errorf("%w: %s v%d, served are %d to %d", ErrVersion, served.Name, r.Version, served.Min, served.Max)
	}
	body.SetVersion(r.Version)
	if _, err := walk(r, body.IsFlexible()); err != nil {
		return nil, err
	}
	if err := body.ReadFrom(r.Body); err != nil {
		return nil, fmt.Errorf("%w: %s v%d: %w", ErrMalformed, served.Name, r.Version, err)
	}
	return body, nil
}
