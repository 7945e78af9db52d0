package record

import "fmt"

// Rebuild compresses a batch with another codec, at a level, and keeps all else:
// offsets, sequences, timestamps, the records byte for byte. The result is in memory of
// its own. limit bounds the decompressed records. The batch is not checked
// beyond what decompression needs; its checksum is made new, so check it before.
func Rebuild(batch []byte, c Codec, l Level, limit int) ([]byte, error) {
	h, err := ParseHeader(batch)
	if err != nil {
		return nil, err
	}
	if c < None || c > Zstd {
		return nil, fmt.Errorf("%w: %d", ErrCodec, c)
	}
	records := batch[HeaderSize:h.Size()]
	if h.Codec() != None {
		if records, err = Decompress(nil, records, h.Codec(), limit); err != nil {
			return nil, err
		}
	}
	h.Attributes = h.Attributes&^attrCodec | int16(c)
	return seal(h, records, l)
}
