package protobuf

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tarn-io/tarn/schema"
)

// signed is the number that the wire's bits mean for a kind with a sign. Bits
// above a 32-bit kind's are dropped, as every implementation drops them.
func signed(k protoreflect.Kind, bits uint64) int64 {
	switch k {
	case protoreflect.Sint32Kind:
		return int64(int32(protowire.DecodeZigZag(bits & 0xffffffff)))
	case protoreflect.Sint64Kind:
		return protowire.DecodeZigZag(bits)
	case protoreflect.Int64Kind, protoreflect.Sfixed64Kind:
		return int64(bits)
	}
	return int64(int32(bits))
}

// unsigned is signed for a kind without a sign.
func unsigned(k protoreflect.Kind, bits uint64) uint64 {
	if k == protoreflect.Uint32Kind || k == protoreflect.Fixed32Kind {
		return uint64(uint32(bits))
	}
	return bits
}

// Ranges as the comments of timestamp.proto, duration.proto, date.proto and
// timeofday.proto state them.
const (
	minTimestamp   = -62135596800 // 0001-01-01T00:00:00Z in seconds
	maxTimestamp   = 253402300799 // 9999-12-31T23:59:59Z
	maxDuration    = 315576000000 // about 10,000 years in seconds
	nanosPerSecond = 1_000_000_000
	secondsPerDay  = 24 * 60 * 60
)

// moment is the column value of a Timestamp (µs since 1970), Duration (ns), Date
// (days since 1970) or TimeOfDay (µs) at buf[pos:end], in its range.
func (w *walker) moment(m *message, pos, end, depth int) (int64, *schema.Invalid) {
	a, err := w.numbers(m, pos, end, depth)
	if err != nil {
		return 0, err
	}
	switch m.known {
	case knownTimestamp:
		return w.timestamp(pos, a[0], a[1])
	case knownDuration:
		return w.duration(pos, a[0], a[1])
	case knownDate:
		return w.date(pos, a[0], a[1], a[2])
	}
	return w.timeOfDay(pos, a)
}

// numbers reads the fields of a message that has at most four, all varints and
// numbered from 1. Such a message is almost always nothing but them.
func (w *walker) numbers(m *message, pos, end, depth int) (a [4]int64, err *schema.Invalid) {
	b := w.buf[:end]
	for at := pos; ; {
		if at == end {
			return a, nil
		}
		i := int(b[at]>>3) - 1
		if b[at]&0x87 != wireVarint || i < 0 || i >= len(m.fields) {
			break
		}
		bits, next := uvarint(b, at+1)
		if next < 0 {
			break
		}
		a[i], at = signed(m.fields[i].kind, bits), next
	}
	items := len(w.items)
	base, err := w.scan(m, pos, end, depth)
	if err != nil {
		return a, err
	}
	for i := range m.fields {
		a[i] = signed(m.fields[i].kind, w.slots[base+i].bits)
	}
	w.release(base, items)
	return a, nil
}

func (w *walker) timestamp(pos int, sec, nanos int64) (int64, *schema.Invalid) {
	if sec < minTimestamp || sec > maxTimestamp || nanos < 0 || nanos >= nanosPerSecond {
		return 0, w.refuse(pos, "a timestamp from year 1 to 9999", fmt.Sprintf("%d s and %d ns since 1970", sec, nanos))
	}
	return sec*1_000_000 + nanos/1000, nil
}

// duration refuses more than int64 nanoseconds can say, about 292 years: to wrap
// or to round would change what the producer said.
func (w *walker) duration(pos int, sec, nanos int64) (int64, *schema.Invalid) {
	if err := w.checkDuration(pos, sec, nanos); err != nil {
		return 0, err
	}
	whole := sec * nanosPerSecond
	ns := whole + nanos
	if whole/nanosPerSecond != sec || (ns < 0) != (sec < 0 || nanos < 0) {
		return 0, w.refuse(pos, "a duration within 64 bits of nanoseconds", fmt.Sprintf("%d s and %d ns", sec, nanos))
	}
	return ns, nil
}

func (w *walker) checkDuration(pos int, sec, nanos int64) *schema.Invalid {
	if sec < -maxDuration || sec > maxDuration || nanos <= -nanosPerSecond || nanos >= nanosPerSecond || sec > 0 && nanos < 0 || sec < 0 && nanos > 0 {
		return w.refuse(pos, "a duration of one sign within 10,000 years", fmt.Sprintf("%d s and %d ns", sec, nanos))
	}
	return nil
}

// date refuses a date without year, month or day: a date column has no word
// for it.
func (w *walker) date(pos int, year, month, day int64) (int64, *schema.Invalid) {
	if year >= 1 && year <= 9999 && month >= 1 && month <= 12 && day >= 1 && day <= 31 {
		t := time.Date(int(year), time.Month(month), int(day), 0, 0, 0, 0, time.UTC)
		if t.Day() == int(day) { // else the month is shorter
			return t.Unix() / secondsPerDay, nil
		}
	}
	return 0, w.refuse(pos, "a full date of years 1 to 9999", fmt.Sprintf("year %d, month %d, day %d", year, month, day))
}

// timeOfDay refuses 24:00:00 and leap seconds, which a time column cannot hold.
func (w *walker) timeOfDay(pos int, a [4]int64) (int64, *schema.Invalid) {
	h, m, s, ns := a[0], a[1], a[2], a[3]
	if h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 59 || ns < 0 || ns >= nanosPerSecond {
		return 0, w.refuse(pos, "a time from 00:00:00 to 23:59:59.999999999", fmt.Sprintf("%d h, %d min, %d s, %d ns", h, m, s, ns))
	}
	return ((h*60+m)*60+s)*1_000_000 + ns/1000, nil
}
