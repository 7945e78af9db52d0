package jsonschema

import (
	"errors"
)

// format is one of the formats that we assert. The drafts from 2019-09 on leave
// format to annotations unless asked; we assert these four in every draft, as
// Confluent's validator asserts its formats, because a column of type timestamp
// cannot hold "tomorrow". Other formats are annotations.
type format uint8

const (
	noFormat format = iota
	formatDateTime
	formatDate
	formatTime
	formatUUID
)

// formatOf names the formats we assert.
func formatOf(name string) format {
	switch name {
	case "date-time":
		return formatDateTime
	case "date":
		return formatDate
	case "time":
		return formatTime
	case "uuid":
		return formatUUID
	}
	return noFormat
}

// name is how a schema writes the format.
func (f format) name() string {
	return [...]string{"", "date-time", "date", "time", "uuid"}[f]
}

// errFormat is what the slow path learns of a refused text; the value itself is
// quoted by whoever reports it.
var errFormat = errors.New("not in this format")

// check is the format as the slow path asks for it. It must agree with parse.
func (f format) check(v any) error {
	s, ok := v.(string)
	if !ok {
		return nil
	}
	if _, ok := f.parse([]byte(s)); !ok {
		return errFormat
	}
	return nil
}

// parse reads a text in this format. Its value is in microseconds since the epoch
// (UTC) for date-time, days since the epoch for date, microseconds since
// midnight UTC for time, and 0 for uuid.
func (f format) parse(b []byte) (int64, bool) {
	switch f {
	case formatDateTime:
		return parseDateTime(b)
	case formatDate:
		return parseDate(b)
	case formatTime:
		us, _, ok := parseTime(b)
		if us >= dayMicros { // the leap second, which no column can say
			us = dayMicros - 1
		}
		return us, ok
	case formatUUID:
		return 0, isUUID(b)
	}
	return 0, true
}

const dayMicros = 24 * 60 * 60 * 1_000_000

// parseDateTime reads RFC 3339 date-time (§5.6). A leap second is the second
// after it, as POSIX time has it.
func parseDateTime(b []byte) (int64, bool) {
	if len(b) < len("2006-01-02T15:04:05Z") || b[10]|0x20 != 't' {
		return 0, false
	}
	days, ok := parseDate(b[:10])
	if !ok {
		return 0, false
	}
	us, shift, ok := parseTime(b[11:])
	if !ok {
		return 0, false
	}
	return (days+int64(shift))*dayMicros + us, true
}

// parseDate reads RFC 3339 full-date as days since the epoch.
func parseDate(b []byte) (int64, bool) {
	if len(b) != 10 || b[4] != '-' || b[7] != '-' {
		return 0, false
	}
	hi, ok1 := two(b)
	lo, ok2 := two(b[2:])
	m, ok3 := two(b[5:])
	d, ok4 := two(b[8:])
	y := hi*100 + lo
	if !ok1 || !ok2 || !ok3 || !ok4 || m < 1 || m > 12 || d < 1 || d > daysIn(y, m) {
		return 0, false
	}
	return daysFrom(y, m, d), true
}

// daysIn is the length of a month in the proleptic Gregorian calendar.
func daysIn(y, m int) int {
	switch m {
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysFrom counts days from 1970-01-01: years begin in March here, so that the
// leap day is a year's last.
func daysFrom(y, m, d int) int64 {
	if m <= 2 {
		y--
		m += 12
	}
	y += 400 // keeps the year 0 positive; 400 years are 146097 days
	return int64(365*y+y/4-y/100+y/400+(153*(m-3)+2)/5+d) - 719469 - 146097
}

// parseTime reads RFC 3339 full-time as microseconds since midnight UTC (finer
// digits are cut off) and the days by which the offset moves the date. The leap
// second 23:59:60 UTC gives a whole day.
func parseTime(b []byte) (us int64, shift int, ok bool) {
	if len(b) < len("15:04:05Z") || b[2] != ':' || b[5] != ':' {
		return 0, 0, false
	}
	h, ok1 := two(b)
	m, ok2 := two(b[3:])
	s, ok3 := two(b[6:])
	if !ok1 || !ok2 || !ok3 || h > 23 || m > 59 || s > 60 {
		return 0, 0, false
	}
	i := 8
	micros := int64(0)
	if b[i] == '.' {
		i++
		places := 0
		for ; i < len(b) && b[i]-'0' <= 9; i++ {
			if places < 6 {
				micros = micros*10 + int64(b[i]-'0')
				places++
			}
		}
		if places == 0 {
			return 0, 0, false
		}
		micros *= int64(tens[6-places])
	}
	offset, ok := parseOffset(b[i:])
	if !ok {
		return 0, 0, false
	}
	minutes := h*60 + m - offset
	if minutes < 0 {
		minutes += 24 * 60
		shift = -1
	} else if minutes >= 24*60 {
		minutes -= 24 * 60
		shift = 1
	}
	if s == 60 && minutes != 24*60-1 {
		return 0, 0, false
	}
	return int64(minutes*60+s)*1_000_000 + micros, shift, true
}

// parseOffset reads "Z" or "+hh:mm" as minutes east of UTC.
func parseOffset(b []byte) (int, bool) {
	if len(b) == 1 && b[0]|0x20 == 'z' {
		return 0, true
	}
	if len(b) != 6 || b[3] != ':' || b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	h, ok1 := two(b[1:])
	m, ok2 := two(b[4:])
	if !ok1 || !ok2 || h > 23 || m > 59 {
		return 0, false
	}
	if b[0] == '-' {
		return -h*60 - m, true
	}
	return h*60 + m, true
}

// two reads two decimal digits.
func two(b []byte) (int, bool) {
	hi, lo := b[0]-'0', b[1]-'0'
	return int(hi)*10 + int(lo), hi <= 9 && lo <= 9
}

// isUUID accepts the 36 characters of RFC 9562 §4 in either case.
func isUUID(b []byte) bool {
	if len(b) != 36 {
		return false
	}
	for i, c := range b {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if c|0x20 < 'a' || c|0x20 > 'f' {
				if c < '0' || c > '9' {
					return false
				}
			}
		}
	}
	return true
}
