package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/parquet/metadata"

	"github.com/tarn-io/tarn/tables"
)

// tailBytes are a file's last ones: the footer's length and the magic.
const tailBytes = 8

// plainIntegers changes the footer so that whole numbers of 32 and 64 bits are INT32
// and INT64 and nothing more, and reports whether there were any. arrow-go annotates
// them as INT(32, true) and INT(64, true), which says the same; but the writers of
// Iceberg and Delta do not, and Iceberg's vectorized reader for Spark, to 1.10.1,
// takes an annotated column for one that cannot have been widened to long since
// (apache/iceberg#16341). Pages, statistics and their order do not depend on it.
func plainIntegers(meta *metadata.FileMetaData) (changed bool) {
	for _, e := range meta.FileMetaData.Schema {
		// Of narrow and unsigned ones, which tables have none of, it says more.
		if l := e.LogicalType; l != nil && l.INTEGER != nil && l.INTEGER.IsSigned && l.INTEGER.BitWidth >= 32 {
			e.LogicalType, e.ConvertedType, changed = nil, nil, true
		}
	}
	return changed
}

// rewriteFooter writes the footer of the file in out anew, as meta now is.
func rewriteFooter(out *bytes.Buffer, meta *metadata.FileMetaData) error {
	tail := out.Bytes()[max(0, out.Len()-tailBytes):]
	if len(tail) < tailBytes {
		return fmt.Errorf("file of %d bytes has no footer: %w", out.Len(), tables.ErrBroken)
	}
	size := int(binary.LittleEndian.Uint32(tail))
	magic := bytes.Clone(tail[4:])
	if size > out.Len()-tailBytes {
		return fmt.Errorf("footer of %d bytes in a file of %d: %w", size, out.Len(), tables.ErrBroken)
	}
	out.Truncate(out.Len() - tailBytes - size)
	n, err := meta.WriteTo(out, nil)
	if err != nil {
		return fmt.Errorf("write footer: %w", err)
	}
	out.Write(binary.LittleEndian.AppendUint32(nil, uint32(n)))
	out.Write(magic)
	return nil
}
