package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// recordSchema is what every record is: who sent it, the how-manieth of that
// producer it is, and bytes to make sizes differ.
const recordSchema = `{"type":"record","name":"Order","namespace":"crash","fields":[` +
	`{"name":"producer","type":"int"},{"name":"seq","type":"long"},{"name":"pad","type":"string"}]}`

// identity is a record's producer and sequence number in one word.
type identity uint64

const seqBits = 48

func identify(producer int, seq int64) identity {
	return identity(uint64(producer)<<seqBits | uint64(seq))
}

// parseIdentity reads the number that an identity is.
func parseIdentity(text []byte) (identity, error) {
	n, err := strconv.ParseUint(string(text), 10, 64)
	return identity(n), err
}

func (i identity) producer() int { return int(i >> seqBits) }
func (i identity) seq() int64    { return int64(i & (1<<seqBits - 1)) }

func (i identity) String() string {
	return fmt.Sprintf("record %d of producer %d", i.seq(), i.producer())
}

// encode frames and encodes a record. The encoding is written out here, so that
// no library stands between this test and the bytes.
func encode(schemaID int, i identity, pad int) []byte {
	b := make([]byte, 5, 5+20+pad)
	binary.BigEndian.PutUint32(b[1:], uint32(schemaID))
	b = binary.AppendVarint(b, int64(i.producer()))
	b = binary.AppendVarint(b, i.seq())
	b = binary.AppendVarint(b, int64(pad))
	for n := range pad {
		b = append(b, 'a'+byte((int(i)+n)%26))
	}
	return b
}

// spoil makes a payload that its schema refuses: it ends too early.
func spoil(b []byte) []byte { return b[:len(b)-1] }

// decode is the way back; it checks every byte.
func decode(b []byte) (identity, error) {
	if len(b) < 5 || b[0] != 0 {
		return 0, errors.New("no schema id")
	}
	b = b[5:]
	var parts [3]int64
	for n := range parts {
		v, size := binary.Varint(b)
		if size <= 0 {
			return 0, errors.New("cut off")
		}
		parts[n], b = v, b[size:]
	}
	i := identify(int(parts[0]), parts[1])
	if int64(len(b)) != parts[2] {
		return 0, fmt.Errorf("%s has %d bytes of padding, not %d", i, len(b), parts[2])
	}
	for n, c := range b {
		if c != 'a'+byte((int(i)+n)%26) {
			return 0, fmt.Errorf("%s is damaged at byte %d of its padding", i, n)
		}
	}
	return i, nil
}
