package jsonschema

import (
	"bytes"
	"math"
	"math/big"
	"math/bits"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

const (
	// maxNumberBytes bounds a number's text, so that the exact arithmetic that a
	// schema may ask for (multipleOf, uniqueItems) costs little.
	maxNumberBytes = 512
	// maxExponent bounds a number's decimal exponent, written or implied: twice
	// what float64 holds, and small enough to be written out as digits.
	maxExponent = 700
)

// number is a JSON number, read but not rounded: its value is
// mant × 10^exp if exact, else only text says it.
type number struct {
	text  []byte
	neg   bool
	exact bool // all digits are in mant
	mant  uint64
	exp   int
}

// scanNumber reads the number at b[pos]. ok is false if there is none by the
// grammar of RFC 8259; end is then where it breaks.
func scanNumber(b []byte, pos int) (v number, end int, ok bool) {
	i := pos
	if i < len(b) && b[i] == '-' {
		v.neg = true
		i++
	}
	if i >= len(b) || b[i] < '0' || b[i] > '9' {
		return v, i, false
	}
	v.exact = true
	first := i
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		v.push(b[i])
		i++
	}
	if b[first] == '0' && i > first+1 {
		return v, first + 1, false
	}
	if i < len(b) && b[i] == '.' {
		i++
		frac := i
		for i < len(b) && b[i] >= '0' && b[i] <= '9' {
			v.push(b[i])
			v.exp--
			i++
		}
		if i == frac {
			return v, i, false
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		exp, next, good := scanExponent(b, i+1)
		if !good {
			return v, next, false
		}
		v.exp += exp
		i = next
	}
	v.text = b[pos:i]
	return v, i, true
}

// push adds a digit to the mantissa while it fits.
func (v *number) push(c byte) {
	if v.mant > (math.MaxUint64-9)/10 {
		v.exact = false
		return
	}
	v.mant = v.mant*10 + uint64(c-'0')
}

// scanExponent reads sign and digits; anything huge comes back as huge, not
// wrapped.
func scanExponent(b []byte, i int) (exp, end int, ok bool) {
	neg := false
	if i < len(b) && (b[i] == '+' || b[i] == '-') {
		neg = b[i] == '-'
		i++
	}
	first := i
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		exp = min(exp*10+int(b[i]-'0'), 1<<20)
		i++
	}
	if neg {
		exp = -exp
	}
	return exp, i, i > first
}

// tooBig says whether the number is beyond what we compute with.
func (v *number) tooBig() bool {
	return len(v.text) > maxNumberBytes || v.exp > maxExponent || v.exp < -maxExponent-maxNumberBytes
}

// int64 gives the value if it is an integer (1.0 and 1e2 are) within 64 bits.
func (v *number) int64() (n int64, integer, fits bool) {
	m, e := v.mant, v.exp
	if !v.exact {
		var d decimal
		d.set(v.text)
		if !d.integer() {
			return 0, false, false
		}
		if d.exp > 19 {
			return 0, true, false
		}
		m, e = 0, 0
		for i := range d.exp {
			c := uint64(0)
			if i < d.n {
				c = uint64(d.digits[i] - '0')
			}
			hi, lo := bits.Mul64(m, 10)
			sum, carry := bits.Add64(lo, c, 0)
			if hi != 0 || carry != 0 {
				return 0, true, false
			}
			m = sum
		}
	}
	if m == 0 {
		return 0, true, true
	}
	for ; e < 0; e++ {
		if m%10 != 0 {
			return 0, false, false
		}
		m /= 10
	}
	for ; e > 0; e-- {
		if m > math.MaxUint64/10 {
			return 0, true, false
		}
		m *= 10
	}
	switch {
	case !v.neg && m <= math.MaxInt64:
		return int64(m), true, true
	case v.neg && m <= 1<<63:
		return -int64(m), true, true
	}
	return 0, true, false
}

// float64 gives the nearest float64; false if the value is beyond its range.
func (v *number) float64() (float64, bool) {
	if v.exact && v.mant < 1<<53 && v.exp >= -22 && v.exp <= 22 {
		// Mantissa and power are exact, so one operation rounds once, correctly.
		f := float64(v.mant)
		if v.exp < 0 {
			f /= pow10[-v.exp]
		} else {
			f *= pow10[v.exp]
		}
		if v.neg {
			f = -f
		}
		return f, true
	}
	f, err := strconv.ParseFloat(string(v.text), 64)
	return f, err == nil
}

// pow10 holds the powers of ten that float64 holds exactly. It is never written.
var pow10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// tens are the powers of ten that 64 bits hold. It is never written.
var tens = [...]uint64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19}

// decimal128 gives the unscaled value at scale; false if it needs more than 38
// digits or more places than scale.
func (v *number) decimal128(scale int) (decimal128.Num, bool) {
	if shift := v.exp + scale; v.exact && shift >= 0 && shift < len(tens) {
		hi, lo := bits.Mul64(v.mant, tens[shift])
		if hi < 1<<62 { // below 2^126, so within 38 digits
			n := decimal128.New(int64(hi), lo)
			if v.neg {
				n = n.Negate()
			}
			return n, true
		}
	}
	return v.longDecimal128(scale)
}

// longDecimal128 is decimal128 for numbers of more digits than mant holds.
func (v *number) longDecimal128(scale int) (decimal128.Num, bool) {
	var d decimal
	d.set(v.text)
	if d.n == 0 {
		return decimal128.Num{}, true
	}
	digits := d.exp + scale // digits before the point, once scaled
	if digits > 38 || digits < d.n {
		return decimal128.Num{}, false
	}
	var hi, lo uint64
	for i := range digits {
		c := uint64(0)
		if i < d.n {
			c = uint64(d.digits[i] - '0')
		}
		over, low := bits.Mul64(lo, 10)
		var carry uint64
		lo, carry = bits.Add64(low, c, 0)
		hi = hi*10 + over + carry
	}
	n := decimal128.New(int64(hi), lo)
	if d.neg {
		n = n.Negate()
	}
	return n, true
}

// decimal is a number of any size as digits: 0.d₁d₂…dₙ × 10^exp, without zeros at
// either end, so that equal values are equal field by field.
type decimal struct {
	neg    bool
	n      int
	exp    int
	digits [maxNumberBytes]byte
}

// set reads a number's text, which scanNumber accepted and tooBig did not refuse.
func (d *decimal) set(text []byte) {
	d.neg, d.n, d.exp = false, 0, 0
	point, exp := -1, 0
	seen := 0
	for i, c := range text {
		switch {
		case c == '-':
			d.neg = true
		case c == '.':
			point = seen
		case c|0x20 == 'e':
			exp, _, _ = scanExponent(text, i+1)
		}
		if c|0x20 == 'e' {
			break
		}
		if c >= '0' && c <= '9' {
			seen++
			if (d.n > 0 || c != '0') && d.n < len(d.digits) {
				d.digits[d.n] = c
				d.n++
			} else if d.n == 0 {
				d.exp--
			}
		}
	}
	if point < 0 {
		point = seen
	}
	d.exp += point + exp
	for d.n > 0 && d.digits[d.n-1] == '0' {
		d.n--
	}
	if d.n == 0 {
		d.neg, d.exp = false, 0
	}
}

// integer says whether the value has no fraction.
func (d *decimal) integer() bool { return d.n == 0 || d.exp >= d.n }

// cmp orders two decimals by value.
func (d *decimal) cmp(o *decimal) int {
	if d.neg != o.neg {
		if d.neg {
			return -1
		}
		return 1
	}
	c := d.cmpAbs(o)
	if d.neg {
		return -c
	}
	return c
}

func (d *decimal) cmpAbs(o *decimal) int {
	switch {
	case d.n == 0 || o.n == 0:
		return min(d.n, 1) - min(o.n, 1)
	case d.exp != o.exp:
		if d.exp < o.exp {
			return -1
		}
		return 1
	}
	return bytes.Compare(d.digits[:d.n], o.digits[:o.n])
}

// limit is a number that a schema states, ready to be compared with.
type limit struct {
	isInt bool
	power bool // 10^(dec.exp-1): multiples of it are told by their places
	i     int64
	dec   decimal
	rat   *big.Rat
	text  string // as the messages show it
}

// newLimit reads the number of a schema.
func newLimit(r *big.Rat) *limit {
	l := &limit{rat: r, text: ratText(r)}
	l.dec.set([]byte(l.text))
	l.power = l.dec.n == 1 && l.dec.digits[0] == '1' && !l.dec.neg
	l.isInt = r.IsInt() && r.Num().IsInt64()
	if l.isInt {
		l.i = r.Num().Int64()
	}
	return l
}

// ratText writes a rational that came from decimal text as decimal text again.
func ratText(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	places, _ := r.FloatPrec()
	return r.FloatString(places)
}

// compare orders the number against the limit, exactly.
func (l *limit) compare(v *number) int {
	if l.isInt {
		if n, integer, fits := v.int64(); integer && fits {
			switch {
			case n < l.i:
				return -1
			case n > l.i:
				return 1
			}
			return 0
		}
	}
	var d decimal
	d.set(v.text)
	return d.cmp(&l.dec)
}

// divides says whether the number is a multiple of the limit, exactly.
func (l *limit) divides(v *number) bool {
	if l.isInt {
		if n, integer, fits := v.int64(); integer && fits {
			return n%l.i == 0
		}
	}
	if l.power {
		if v.exact && v.exp >= l.dec.exp-1 {
			return true
		}
		var d decimal
		d.set(v.text)
		return d.n == 0 || d.exp-d.n >= l.dec.exp-1
	}
	r, ok := new(big.Rat).SetString(string(v.text))
	return ok && r.Quo(r, l.rat).IsInt()
}
