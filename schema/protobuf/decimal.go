package protobuf

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tarn-io/tarn/schema"
)

// maxColumnPrecision is what decimal128, and with it Iceberg and Delta, can
// hold; longer decimals are text.
const maxColumnPrecision = 38

// maxDecimalBytes bounds the unscaled value of a decimal, which is about 1,200
// digits: to print it takes time by the square of its length.
const maxDecimalBytes = 512

// column says whether the parameters give a decimal128 column.
func (p params) column() bool { return p.precision > 0 && p.precision <= maxColumnPrecision }

// decimal is a confluent.type.Decimal: an unscaled value times 10^-scale.
type decimal struct {
	num        decimal128.Num // at the column's scale, where the field has one
	start, end int            // of the unscaled value, big-endian two's complement, without sign padding
	scale      int32
}

// decimal reads the Decimal at buf[pos:end] and brings it to the field's scale.
// The precision in the message is not looked at: the value is what counts.
func (w *walker) decimal(f *field, pos, end, depth int) (decimal, *schema.Invalid) {
	d, ok := w.plainDecimal(pos, end)
	if !ok {
		items := len(w.items)
		base, err := w.scan(f.msg, pos, end, depth)
		if err != nil {
			return decimal{}, err
		}
		d.start, d.end = unspan(w.slots[base].bits)
		d.scale = int32(w.slots[base+2].bits)
		w.release(base, items)
	}
	for d.end-d.start > 1 && padding(w.buf[d.start], w.buf[d.start+1]) {
		d.start++
	}
	size := d.end - d.start
	if size > maxDecimalBytes || d.scale > maxDecimalParam || d.scale < -maxDecimalParam {
		return d, w.refuse(pos, fmt.Sprintf("a decimal of at most %d bytes and a scale up to %d", maxDecimalBytes, maxDecimalParam), fmt.Sprintf("%d bytes, scale %d", size, d.scale))
	}
	if !f.dec.column() {
		return d, nil
	}
	ok = size <= 16
	if ok {
		d.num, ok = rescale(fromBytes(w.buf[d.start:d.end]), f.dec.scale-d.scale)
	}
	if !ok || lowest(d.num) || !d.num.FitsInPrecision(f.dec.precision) {
		return d, w.refuse(pos, fmt.Sprintf("decimal(%d, %d)", f.dec.precision, f.dec.scale), string(w.decimalText(nil, d)))
	}
	return d, nil
}

// plainDecimal reads a Decimal that is nothing but its three fields, as almost
// every one is; false if it is not.
func (w *walker) plainDecimal(pos, end int) (d decimal, ok bool) {
	const value, precision, scale = 1<<3 | wireBytes, 2<<3 | wireVarint, 3<<3 | wireVarint
	for b := w.buf[:end]; pos < end; {
		var bits uint64
		switch b[pos] {
		case value:
			if d.start, d.end = length(b, pos+1); d.end < 0 {
				return decimal{}, false
			}
			pos = d.end
			continue
		case precision:
			_, pos = uvarint(b, pos+1)
		case scale:
			bits, pos = uvarint(b, pos+1)
			d.scale = int32(bits)
		default:
			pos = -1
		}
		if pos < 0 {
			return decimal{}, false
		}
	}
	return d, true
}

// padding says whether the first of two bytes only repeats the sign.
func padding(a, b byte) bool { return a == 0 && b < 0x80 || a == 0xff && b >= 0x80 }

// fromBytes reads at most 16 bytes of big-endian two's complement.
func fromBytes(b []byte) decimal128.Num {
	var hi, lo uint64
	if len(b) > 0 && b[0] >= 0x80 {
		hi, lo = ^uint64(0), ^uint64(0)
	}
	for _, c := range b {
		hi, lo = hi<<8|lo>>56, lo<<8|uint64(c)
	}
	return decimal128.New(int64(hi), lo)
}

// rescale multiplies n by 10^shift; false if that overflows or loses a digit.
func rescale(n decimal128.Num, shift int32) (decimal128.Num, bool) {
	if shift == 0 || n.Sign() == 0 {
		return n, true
	}
	abs := n
	if n.Sign() < 0 {
		abs = n.Negate()
	}
	hi, lo := uint64(abs.HighBits()), abs.LowBits()
	for ; shift > 0; shift-- {
		over, h := bits.Mul64(hi, 10)
		carry, l := bits.Mul64(lo, 10)
		var c uint64
		if hi, c = bits.Add64(h, carry, 0); over+c != 0 || hi>>63 != 0 {
			return n, false
		}
		lo = l
	}
	for ; shift < 0; shift++ {
		var rest uint64
		if hi, lo, rest = divide(hi, lo, 10); rest != 0 {
			return n, false
		}
	}
	out := decimal128.New(int64(hi), lo)
	if n.Sign() < 0 {
		out = out.Negate()
	}
	return out, true
}

// lowest says whether n is -2^127, whose negation is itself, so that comparing
// its absolute value would go wrong. It has 39 digits.
func lowest(n decimal128.Num) bool { return n.HighBits() == math.MinInt64 && n.LowBits() == 0 }

// divide divides 128 bits by a small number.
func divide(hi, lo, by uint64) (h, l, rest uint64) {
	h, rest = hi/by, hi%by
	l, rest = bits.Div64(rest, lo, by)
	return h, l, rest
}

// decimalText appends a decimal as plain digits with a point.
func (w *walker) decimalText(out []byte, d decimal) []byte {
	b := w.buf[d.start:d.end]
	if len(b) > 0 && b[0] >= 0x80 {
		out = append(out, '-')
	}
	mark := len(out)
	if len(b) <= 16 {
		out = appendDigits(out, fromBytes(b))
	} else {
		out = bigFromBytes(b).Append(out, 10)
	}
	if d.scale <= 0 {
		if string(out[mark:]) != "0" {
			for range -d.scale {
				out = append(out, '0')
			}
		}
		return out
	}
	for len(out)-mark <= int(d.scale) { // one digit before the point
		out = append(out, 0)
		copy(out[mark+1:], out[mark:])
		out[mark] = '0'
	}
	point := len(out) - int(d.scale)
	out = append(out, 0)
	copy(out[point+1:], out[point:])
	out[point] = '.'
	return out
}

// appendDigits appends the digits of |n|.
func appendDigits(out []byte, n decimal128.Num) []byte {
	if n.Sign() < 0 {
		n = n.Negate()
	}
	const chunk = 1_000_000_000_000_000_000 // 10^18
	hi, lo := uint64(n.HighBits()), n.LowBits()
	var parts [3]uint64
	for i := range parts {
		hi, lo, parts[i] = divide(hi, lo, chunk)
	}
	i := len(parts) - 1
	for i > 0 && parts[i] == 0 {
		i--
	}
	out = strconv.AppendUint(out, parts[i], 10)
	for i--; i >= 0; i-- {
		var digits [19]byte // a leading 1 keeps the zeros
		out = append(out, strconv.AppendUint(digits[:0], chunk+parts[i], 10)[1:]...)
	}
	return out
}

// bigFromBytes is the absolute value of a long two's complement.
func bigFromBytes(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n.Abs(n)
}
