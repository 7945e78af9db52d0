package query

import (
	"bytes"
	"database/sql/driver"
	"encoding/binary"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"modernc.org/sqlite"
)

// Decimals to the last digit. SQLite has floats for them, so what it adds up and compares
// are 15 to 17 digits. Here sums are big integers, and comparisons are those of bytes that
// stand in the order of the numbers: decimals.go puts both into statements.

// Names of functions that statements are given. A user may call them, too.
const (
	sumName  = "tarn_sum"     // (x, scale)
	avgName  = "tarn_avg"     // (x, scale)
	keyName  = "tarn_order"   // (x): bytes in the order of numbers
	backName = "tarn_decimal" // (bytes, scale): the number that they stand for
)

// registerDecimals registers them.
func registerDecimals(d *sqlite.Driver) error {
	for _, name := range []string{sumName, avgName} {
		if err := d.RegisterFunction(name, &sqlite.FunctionImpl{
			NArgs: 2, Deterministic: true, VolatileArgs: true,
			MakeAggregate: func(sqlite.FunctionContext) (sqlite.AggregateFunction, error) {
				return &exactCall{avg: name == avgName}, nil
			},
		}); err != nil {
			return err
		}
	}
	for name, f := range map[string]func(a []driver.Value) driver.Value{
		keyName:  func(a []driver.Value) driver.Value { return numberKey(a[0]) },
		backName: func(a []driver.Value) driver.Value { return keyNumber(a[0], scaleOf(a[1])) },
	} {
		args := int32(1)
		if name == backName {
			args = 2
		}
		if err := d.RegisterFunction(name, &sqlite.FunctionImpl{
			NArgs: args, Deterministic: true, VolatileArgs: true,
			Scalar: func(_ *sqlite.FunctionContext, a []driver.Value) (driver.Value, error) { return f(a), nil },
		}); err != nil {
			return err
		}
	}
	return nil
}

// maxScale bounds the digits behind the point that a caller may ask for: decimals have 38.
const maxScale = 38

func scaleOf(v driver.Value) int {
	n, _ := v.(int64)
	return int(min(max(n, 0), maxScale))
}

// digits is a number as its decimal digits say it: 0.d₁d₂… × 10^exp, without zeros at
// either end; zero has none. A float stands for its shortest digits, for decimals are
// floats where those are theirs.
type digits struct {
	neg bool
	d   []byte
	exp int
}

// scale is how many of them are behind the point, below 0 if the last is before it.
func (n *digits) scale() int { return len(n.d) - n.exp }

// digitsOf reads a number, or a short text that is one without an exponent, into buf; ok is
// false of all else.
func digitsOf(v any, buf []byte) (n digits, ok bool) {
	b, exp := buf[:0], 0
	switch v := v.(type) {
	case int64:
		b = strconv.AppendInt(b, v, 10)
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return n, false
		}
		b = strconv.AppendFloat(b, v, 'e', -1, 64)
		at := bytes.IndexByte(b, 'e')
		e, err := strconv.Atoi(string(b[at+1:]))
		if err != nil {
			return n, false
		}
		b, exp = b[:at], e
	case string:
		if len(v) > maxPlaces {
			return n, false // big integers take time with the square of it
		}
		b = append(b, v...)
	default:
		return n, false
	}
	if len(b) > 0 && b[0] == '-' {
		n.neg, b = true, b[1:]
	}
	point := len(b)
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '.' && point == len(b) && i > 0 && i+1 < len(b):
			point = i
			b = append(b[:i], b[i+1:]...)
			i--
			if point == len(b) {
				return n, false
			}
		case c < '0' || c > '9':
			return n, false
		}
	}
	if len(b) == 0 {
		return n, false
	}
	n.exp = point + exp
	for len(b) > 0 && b[0] == '0' {
		b, n.exp = b[1:], n.exp-1
	}
	b = bytes.TrimRight(b, "0")
	if n.d = b; len(b) == 0 {
		n.neg, n.exp = false, 0
	}
	return n, true
}

// text writes the number with so many digits behind the point, or more if it has them.
func (n *digits) text(scale int) string {
	var b strings.Builder
	if n.neg {
		b.WriteByte('-')
	}
	for i := range max(n.exp, 0) {
		b.WriteByte(n.at(i))
	}
	if n.exp <= 0 {
		b.WriteByte('0')
	}
	if scale = max(scale, n.scale()); scale > 0 {
		b.WriteByte('.')
		for i := range scale {
			b.WriteByte(n.at(n.exp + i))
		}
	}
	return b.String()
}

// at is the digit at a place behind 0.
func (n *digits) at(i int) byte {
	if i < 0 || i >= len(n.d) {
		return '0'
	}
	return n.d[i]
}

// Beginnings of keys, in the order of what they stand for.
const (
	keyLow  = 0x10 // -infinity
	keyNeg  = 0x20
	keyZero = 0x30
	keyPos  = 0x40
	keyHigh = 0x50 // infinity
	keyEnd  = 0xff // behind the digits of a negative one, so that the longer is before
)

// numberKey is a number as bytes, so that bytes are in the order of numbers to the last
// digit. What is no number stays what it is.
func numberKey(v any) any {
	var buf [64]byte
	if f, ok := v.(float64); ok && math.IsInf(f, 0) {
		if f > 0 {
			return []byte{keyHigh}
		}
		return []byte{keyLow}
	}
	n, ok := digitsOf(v, buf[:])
	switch {
	case !ok:
		return cloned(v)
	case len(n.d) == 0:
		return []byte{keyZero}
	}
	b := make([]byte, 3, 4+len(n.d))
	b[0] = keyPos
	binary.BigEndian.PutUint16(b[1:], uint16(min(max(n.exp, math.MinInt16), math.MaxInt16)-math.MinInt16))
	b = append(b, n.d...)
	if n.neg {
		for i := range b {
			b[i] = ^b[i]
		}
		b[0] = keyNeg
		b = append(b, keyEnd)
	}
	return b
}

// keyNumber is the number that numberKey has made a key of, in the form of a decimal of a
// scale. What is no key stays what it is.
func keyNumber(v any, scale int) any {
	b, ok := v.([]byte)
	if !ok || len(b) == 0 {
		return cloned(v)
	}
	switch {
	case len(b) == 1 && b[0] == keyLow:
		return math.Inf(-1)
	case len(b) == 1 && b[0] == keyHigh:
		return math.Inf(1)
	case len(b) == 1 && b[0] == keyZero:
		return decimalForm((&digits{}).text(scale), scale)
	case len(b) > 4 && b[0] == keyNeg && b[len(b)-1] == keyEnd:
		b = bytes.Clone(b[:len(b)-1])
		for i := range b {
			b[i] = ^b[i]
		}
	case len(b) < 4 || b[0] != keyPos:
		return cloned(v)
	}
	n := digits{neg: v.([]byte)[0] == keyNeg, d: b[3:], exp: int(binary.BigEndian.Uint16(b[1:])) + math.MinInt16}
	for _, c := range n.d {
		if c < '0' || c > '9' {
			return cloned(v)
		}
	}
	if n.exp < -2*maxPlaces || n.exp > 2*maxPlaces {
		return cloned(v)
	}
	return decimalForm(n.text(scale), max(scale, n.scale()))
}

// maxPlaces is more than there are places before and behind the point of a float.
const maxPlaces = 400

// total is a sum to the last digit.
type total struct {
	n     int64   // values that are not null
	sum   big.Int // × 10^-scale, without small
	small int64   // likewise: what is added until it is too much
	scale int
	wide  int64    // values with more digits than want: they are no decimals of the column's
	infs  [2]int64 // infinities, -infinities
	want  int      // digits behind the point of the column
}

// maxSmall bounds what total.small takes at a time, in digits: so many more fit with it.
const maxSmall = 17

// add takes a value, or takes it away with by -1.
func (t *total) add(v any, by int64) {
	var buf [64]byte
	if v == nil {
		return
	}
	t.n += by
	if f, ok := v.(float64); ok {
		if math.IsInf(f, 0) {
			if f > 0 {
				t.infs[0] += by
			} else {
				t.infs[1] += by
			}
			return
		}
		// The nearest float to a number of 15 digits is so to no other one.
		if t.scale == t.want && t.want <= exactDigits {
			if n := math.Round(f * floatPowers[t.want]); math.Abs(n) < floatPowers[exactDigits] && n/floatPowers[t.want] == f {
				t.addSmall(by * int64(n))
				return
			}
		}
	}
	n, ok := digitsOf(v, buf[:])
	if !ok {
		t.wide += by
		if n, ok = digitsOf(leadingNumber(v), buf[:]); !ok {
			return
		}
	}
	if n.scale() > t.want {
		t.wide += by
	}
	if n.scale() > t.scale {
		t.carry()
		t.sum.Mul(&t.sum, powerOfTen(n.scale()-t.scale))
		t.scale = n.scale()
	}
	zeros := t.scale - n.scale()
	if len(n.d)+zeros <= maxSmall {
		var one int64
		for _, c := range n.d {
			one = one*10 + int64(c-'0')
		}
		for range zeros {
			one *= 10
		}
		if n.neg {
			one = -one
		}
		t.addSmall(by * one)
		return
	}
	one, _ := new(big.Int).SetString(string(n.d), 10)
	one.Mul(one, powerOfTen(zeros))
	if n.neg != (by < 0) {
		one.Neg(one)
	}
	t.sum.Add(&t.sum, one)
}

// addDecimal takes a decimal of the column's scale.
func (t *total) addDecimal(d decimal128.Num) {
	t.n++
	if n := int64(d.LowBits()); t.scale == t.want && d.HighBits() == n>>63 && n < math.MaxInt64/4 && n > math.MinInt64/4 {
		t.addSmall(n)
		return
	}
	t.carry()
	t.sum.Add(&t.sum, new(big.Int).Mul(d.BigInt(), powerOfTen(t.scale-t.want)))
}

// addSmall takes a number × 10^-scale, a quarter of what 64 bits hold at most.
func (t *total) addSmall(n int64) {
	if t.small += n; t.small > math.MaxInt64/4 || t.small < math.MinInt64/4 {
		t.carry()
	}
}

// floatPowers are powers of ten that floats have to the last digit.
var floatPowers = [exactDigits + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

func (t *total) carry() {
	t.sum.Add(&t.sum, big.NewInt(t.small))
	t.small = 0
}

func powerOfTen(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// numberPattern is what SQLite takes of a text for a number.
var numberPattern = regexp.MustCompile(`^[ \t\n\v\f\r]*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)`)

// leadingNumber is the number with which a text begins, as SQLite's sums take texts.
func leadingNumber(v any) float64 {
	m := numberPattern.FindStringSubmatch(asText(v))
	if m == nil {
		return 0
	}
	f, _ := strconv.ParseFloat(m[1], 64)
	return f
}

// infinite is the sum if it is no number of digits.
func (t *total) infinite() (v any, ok bool) {
	switch {
	case t.n <= 0 || t.infs[0] > 0 && t.infs[1] > 0:
		return nil, true
	case t.infs[0] > 0:
		return math.Inf(1), true
	case t.infs[1] > 0:
		return math.Inf(-1), true
	}
	return nil, false
}

// result is the sum, in the form that a decimal has; of values that are none, a float.
func (t *total) result() any {
	if v, ok := t.infinite(); ok {
		return v
	}
	t.carry()
	if t.wide > 0 {
		f, _ := new(big.Rat).SetFrac(&t.sum, powerOfTen(t.scale)).Float64()
		return f
	}
	return decimalForm(placed(t.rounded(t.want, 1), t.want), t.want)
}

// moreDigits are digits that an average has behind those of the column, if it is a text.
const moreDigits = 4

// average is the nearest float where one has at least a digit more than the column, else
// a text with moreDigits more.
func (t *total) average() any {
	if v, ok := t.infinite(); ok {
		return v
	}
	t.carry()
	near := t.rounded(t.want+1, t.n)
	if t.wide > 0 || len(near.Abs(near).String()) <= exactDigits {
		f, _ := new(big.Rat).SetFrac(&t.sum, new(big.Int).Mul(big.NewInt(t.n), powerOfTen(t.scale))).Float64()
		return f
	}
	return placed(t.rounded(t.want+moreDigits, t.n), t.want+moreDigits)
}

// rounded is the sum divided by n, × 10^scale, rounded half away from zero.
func (t *total) rounded(scale int, n int64) *big.Int {
	over, under := new(big.Int).Set(&t.sum), big.NewInt(n)
	if scale >= t.scale {
		over.Mul(over, powerOfTen(scale-t.scale))
	} else {
		under.Mul(under, powerOfTen(t.scale-scale))
	}
	over.Mul(over, big.NewInt(2))
	if over.Sign() < 0 {
		over.Sub(over, under)
	} else {
		over.Add(over, under)
	}
	return over.Quo(over, under.Mul(under, big.NewInt(2)))
}

// placed writes n × 10^-scale.
func placed(n *big.Int, scale int) string {
	if scale == 0 {
		return n.String()
	}
	s := new(big.Int).Abs(n).String()
	if len(s) <= scale {
		s = strings.Repeat("0", scale+1-len(s)) + s
	}
	s = s[:len(s)-scale] + "." + s[len(s)-scale:]
	if n.Sign() < 0 {
		return "-" + s
	}
	return s
}

// exactCall is a sum or an average in SQLite.
type exactCall struct {
	total
	avg, begun bool
}

// Step implements sqlite.AggregateFunction.
func (c *exactCall) Step(_ *sqlite.FunctionContext, a []driver.Value) error {
	if !c.begun {
		c.begun, c.want = true, scaleOf(a[1])
		c.scale = c.want
	}
	c.add(a[0], 1)
	return nil
}

// WindowInverse implements sqlite.AggregateFunction.
func (c *exactCall) WindowInverse(_ *sqlite.FunctionContext, a []driver.Value) error {
	c.add(a[0], -1)
	return nil
}

// WindowValue implements sqlite.AggregateFunction.
func (c *exactCall) WindowValue(*sqlite.FunctionContext) (driver.Value, error) {
	if c.avg {
		return c.average(), nil
	}
	return c.result(), nil
}

// Final implements sqlite.AggregateFunction.
func (c *exactCall) Final(*sqlite.FunctionContext) {}
