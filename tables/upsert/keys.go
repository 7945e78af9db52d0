package upsert

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/parquet"
)

// ErrKey is refused: the table has no such column, or one of a type that cannot
// be a key.
var ErrKey = errors.New("not a key of the table")

// MaxColumns bounds the columns of a key, as databases do.
const MaxColumns = 32

// Hash stands for a key: 128 bits of SHA-256 over a seed of this process and the
// values of the key's columns. Two keys of one hash are not to be expected in
// any table, nor can they be made by choosing keys.
type Hash [16]byte

// Hasher makes hashes. Those of two hashers have nothing to do with each other.
type Hasher struct{ seed [16]byte }

// NewHasher returns a hasher with a seed of its own.
func NewHasher() Hasher {
	var h Hasher
	_, _ = rand.Read(h.seed[:]) // never fails
	return h
}

// CheckKey reports, as ErrKey, why columns cannot be the key of a table: they
// must stand at its top and hold values that equal each other exactly, which
// floating-point numbers and times that a format shortens do not.
func CheckKey(s *tables.Schema, columns []string) error {
	if len(columns) == 0 || len(columns) > MaxColumns {
		return fmt.Errorf("%d columns, of 1 to %d: %w", len(columns), MaxColumns, ErrKey)
	}
	for _, name := range columns {
		at := s.Arrow.FieldIndices(name)
		if len(at) != 1 {
			return fmt.Errorf("there is no column %q at the table's top: %w", name, ErrKey)
		}
		if t := s.Arrow.Field(at[0]).Type; !keyType(t) {
			return fmt.Errorf("column %q has type %s: %w", name, t, ErrKey)
		}
	}
	return nil
}

func keyType(t arrow.DataType) bool {
	switch t := t.(type) {
	case *arrow.BooleanType, *arrow.Int32Type, *arrow.Int64Type, *arrow.StringType, *arrow.BinaryType,
		*arrow.FixedSizeBinaryType, *arrow.Decimal128Type, *arrow.Date32Type, *arrow.Time64Type:
		return true
	case *arrow.TimestampType:
		return t.Unit == arrow.Microsecond
	}
	return false
}

// Batch hashes the keys of a batch's rows. Columns are found by name; one that
// the batch does not have is null in every row, and a null equals a null.
// Widened types are spelled alike. Error: ErrKey.
func (h Hasher) Batch(b arrow.RecordBatch, columns []string) ([]Hash, error) {
	cols := make([]arrow.Array, len(columns))
	for i, name := range columns {
		if at := b.Schema().FieldIndices(name); len(at) == 1 {
			cols[i] = b.Column(at[0])
		}
	}
	out := make([]Hash, b.NumRows())
	text := slices.Clone(h.seed[:])
	for row := range out {
		text = text[:len(h.seed)]
		for i, col := range cols {
			var err error
			if text, err = spell(text, col, row); err != nil {
				return nil, fmt.Errorf("column %q: %w", columns[i], err)
			}
		}
		sum := sha256.Sum256(text)
		copy(out[row][:], sum[:])
	}
	return out, nil
}

// spell appends a value so that no two rows of values are spelled alike: a
// length before each, 0 for a null.
func spell(text []byte, col arrow.Array, row int) ([]byte, error) {
	if col == nil || col.IsNull(row) {
		return append(text, 0), nil
	}
	long := func(v int64) ([]byte, error) {
		return binary.BigEndian.AppendUint64(append(text, 9), uint64(v)), nil
	}
	whole := func(v []byte) ([]byte, error) {
		return append(binary.AppendUvarint(text, uint64(len(v))+1), v...), nil
	}
	switch c := col.(type) {
	case *array.Boolean:
		if c.Value(row) {
			return long(1)
		}
		return long(0)
	case *array.Int32:
		return long(int64(c.Value(row)))
	case *array.Int64:
		return long(c.Value(row))
	case *array.Date32:
		return long(int64(c.Value(row)))
	case *array.Time64:
		return long(int64(c.Value(row)))
	case *array.Timestamp:
		return long(int64(c.Value(row)))
	case *array.Decimal128:
		v := c.Value(row)
		text = binary.BigEndian.AppendUint64(append(text, 17), uint64(v.HighBits()))
		return binary.BigEndian.AppendUint64(text, v.LowBits()), nil
	case *array.String:
		return whole([]byte(c.Value(row)))
	case *array.Binary:
		return whole(c.Value(row))
	case *array.FixedSizeBinary:
		return whole(c.Value(row))
	}
	return nil, fmt.Errorf("type %s: %w", col.DataType(), ErrKey)
}

// each hashes the keys of a file, in its order, a batch at a time.
func (h Hasher) each(ctx context.Context, store blob.Store, key string, columns []string, yield func([]Hash) error) error {
	f, err := store.Open(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("%w: %w", tables.ErrFile, err)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", key, err)
	}
	defer f.Close()
	have, err := parquet.Columns(ctx, f, columns)
	if err != nil {
		return fmt.Errorf("read keys of %s: %w", key, err)
	}
	if len(have) == 0 {
		have = []string{parquet.OffsetColumn} // its rows are counted by
	}
	for b, err := range parquet.ReadRows(ctx, f, have) {
		if err != nil {
			return fmt.Errorf("read keys of %s: %w", key, err)
		}
		hashes, err := h.Batch(b, columns)
		if err != nil {
			return fmt.Errorf("keys of %s: %w", key, err)
		}
		if err := yield(hashes); err != nil {
			return err
		}
	}
	return nil
}

// Set is a set of keys.
type Set map[Hash]struct{}

// add reads a file's keys into the set.
func (s Set) add(ctx context.Context, h Hasher, store blob.Store, key string, columns []string) error {
	return h.each(ctx, store, key, columns, func(hashes []Hash) error {
		for _, k := range hashes {
			s[k] = struct{}{}
		}
		return nil
	})
}
