package record

import "fmt"

// Codec is a compression codec, by its number in a batch's attributes.
type Codec int8

// Kafka's codecs.
const (
	None   Codec = 0
	Gzip   Codec = 1
	Snappy Codec = 2
	LZ4    Codec = 3
	Zstd   Codec = 4
)

// String is the codec's name in compression.type, such as "zstd"; None is
// "uncompressed" there.
func (c Codec) String() string {
	switch c {
	case None:
		return "uncompressed"
	case Gzip:
		return "gzip"
	case Snappy:
		return "snappy"
	case LZ4:
		return "lz4"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("codec(%d)", int8(c))
}

// ParseCodec reads a value of compression.type other than "producer", which is
// no codec. "none" is the producers' word for "uncompressed".
func ParseCodec(name string) (Codec, error) {
	for c := None; c <= Zstd; c++ {
		if c.String() == name {
			return c, nil
		}
	}
	if name == "none" {
		return None, nil
	}
	return None, fmt.Errorf("%w: %q", ErrCodec, name)
}
