package avro

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tarn-io/tarn/schema"
)

const dayMicros = 24 * 60 * 60 * 1_000_000

// time reads a time or timestamp whose column has another unit. Values that
// the column cannot hold are refused, never wrapped.
func (r *reader) time(n *node) (int64, *schema.Invalid) {
	start := r.pos
	if n.op == opTimeMilli {
		v, ok := r.int()
		if !ok {
			return 0, r.refuse("time-millis")
		}
		if v < 0 || v >= dayMicros/1000 {
			return 0, schema.Refuse(start, "time-millis within a day", fmt.Sprint(v))
		}
		return int64(v) * 1000, nil
	}
	v, ok := r.long()
	if !ok {
		return 0, r.refuse(n.typ.logical)
	}
	switch n.op {
	case opTimeMicro:
		if v < 0 || v >= dayMicros {
			return 0, schema.Refuse(start, "time-micros within a day", fmt.Sprint(v))
		}
	case opMillis:
		if v > math.MaxInt64/1000 || v < math.MinInt64/1000 {
			return 0, schema.Refuse(start, n.typ.logical+" within 64-bit microseconds", fmt.Sprint(v))
		}
		v *= 1000
	case opNanos:
		rest := v % 1000
		v /= 1000
		if rest < 0 { // round down before 1970 too
			v--
		}
	}
	return v, nil
}

// duration reads months, days and milliseconds, each an unsigned 32-bit number.
func (r *reader) duration(n *node, c *schema.Column) *schema.Invalid {
	b, ok := r.fixed(n.size)
	if !ok {
		return r.refuse("duration of 12 bytes")
	}
	if c == nil {
		return nil
	}
	for i := range 3 {
		c.Child(i).Int64(int64(binary.LittleEndian.Uint32(b[4*i:])))
	}
	c.Struct()
	return nil
}

// decimalBytes reads a decimal's unscaled value: big-endian two's complement.
func (r *reader) decimalBytes(n *node) ([]byte, *schema.Invalid) {
	if n.size > 0 {
		b, ok := r.fixed(n.size)
		if !ok {
			return nil, r.refuse(fmt.Sprintf("decimal of %d bytes", n.size))
		}
		return b, nil
	}
	b, ok := r.take()
	if !ok {
		return nil, r.refuseLength("decimal")
	}
	if len(b) == 0 {
		return nil, schema.Refuse(r.pos, "decimal", "no bytes")
	}
	return b, nil
}

// maxDecimalBytes is decimal128's size. A longer value may still be in range
// in a wide fixed; in bytes it is refused, since no writer pads there.
const maxDecimalBytes = 16

func (r *reader) decimal(n *node, c *schema.Column) *schema.Invalid {
	b, bad := r.decimalBytes(n)
	if bad != nil {
		return bad
	}
	start := r.pos - len(b)
	if n.size == 0 && len(b) > maxDecimalBytes {
		return schema.Refuse(start, fmt.Sprintf("decimal of at most %d bytes", maxDecimalBytes), fmt.Sprintf("%d bytes", len(b)))
	}
	v, ok := decimalNum(b)
	if !ok || !v.Less(n.limit) || !n.limit.Negate().Less(v) {
		return schema.Refuse(start, fmt.Sprintf("decimal of %d digits", n.precision), fmt.Sprintf("bytes % x", b[:min(len(b), maxDecimalBytes)]))
	}
	if c != nil {
		c.Decimal(v)
	}
	return nil
}

// decimalNum reads two's complement; false if it takes more than 128 bits.
func decimalNum(b []byte) (decimal128.Num, bool) {
	sign := byte(int8(b[0]) >> 7)
	for len(b) > maxDecimalBytes {
		if b[0] != sign || (b[1]^sign)&0x80 != 0 {
			return decimal128.Num{}, false
		}
		b = b[1:]
	}
	hi, lo := int64(int8(sign)), uint64(int64(int8(sign)))
	for i, x := range b {
		if len(b)-i > 8 {
			hi = hi<<8 | int64(x)
		} else {
			lo = lo<<8 | uint64(x)
		}
	}
	return decimal128.New(hi, lo), true
}

// bigDecimal reads a decimal too wide for decimal128, as text if wanted. The
// length is checked before the digits are looked at, which is slow.
func (r *reader) bigDecimal(n *node, want bool) (string, *schema.Invalid) {
	b, bad := r.decimalBytes(n)
	if bad != nil {
		return "", bad
	}
	start := r.pos - len(b)
	most := n.bigLimit.BitLen()/8 + 1
	if n.size == 0 && len(b) > most {
		return "", schema.Refuse(start, fmt.Sprintf("decimal of at most %d bytes", most), fmt.Sprintf("%d bytes", len(b)))
	}
	v := bigFromBytes(b)
	if v.CmpAbs(n.bigLimit) >= 0 {
		return "", schema.Refuse(start, fmt.Sprintf("decimal of %d digits", n.precision), fmt.Sprintf("bytes % x...", b[:min(len(b), maxDecimalBytes)]))
	}
	if !want {
		return "", nil
	}
	return decimalText(v, n.scale), nil
}

func bigFromBytes(b []byte) *big.Int {
	v := new(big.Int).SetBytes(b)
	if b[0]&0x80 != 0 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return v
}

// decimalText writes an unscaled value with its scale: "-0.05".
func decimalText(v *big.Int, scale int) string {
	digits := new(big.Int).Abs(v).String()
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale-len(digits)+1) + digits
	}
	if scale > 0 {
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if v.Sign() < 0 {
		return "-" + digits
	}
	return digits
}
