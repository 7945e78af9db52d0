package topic

import (
	"fmt"
	"strings"
)

// maxName is Kafka's limit: a log directory's name "topic-partition" had to
// stay below 255 bytes.
const maxName = 249

// maxTable bounds a table's name so that it and its dead-letter table remain
// legal names of directories (255 bytes) on every file system.
const maxTable = 220

// deadLetters ends the name of the table that takes a topic's bad records.
const deadLetters = "__dead_letters"

// CheckName says whether Kafka allows a topic of that name: 1 to 249 of
// [a-zA-Z0-9._-], but not "." or "..". The error wraps ErrName.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: it is empty", ErrName)
	case name == "." || name == "..":
		return fmt.Errorf("%w: it cannot be %q", ErrName, name)
	case len(name) > maxName:
		return fmt.Errorf("%w: it has %d characters, at most %d are allowed", ErrName, len(name), maxName)
	}
	for i := range len(name) {
		if c := name[i]; !isLower(c) && !isUpper(c) && !isDigit(c) && c != '.' && c != '_' && c != '-' {
			return fmt.Errorf("%w: %q has a character other than letters, digits, '.', '_' and '-'", ErrName, name)
		}
	}
	return nil
}

// Topics of Kafka's own, where its brokers keep what Tarn keeps in items. Clients
// look for them, so they are there, and empty.
const (
	GroupOffsets     = "__consumer_offsets"
	TransactionState = "__transaction_state"
	ShareGroupState  = "__share_group_state"
)

// Internal reports whether a topic is one of Kafka's own: listed as internal,
// and closed to producers.
func Internal(name string) bool {
	return name == GroupOffsets || name == TransactionState || name == ShareGroupState
}

// fold gives equal results for names that Kafka treats as colliding: its
// metrics write '.' as '_', so "a.b" and "a_b" may not both exist.
func fold(name string) string { return strings.ReplaceAll(name, ".", "_") }

// TableName is the table that a topic fills unless tarn.table.name says
// otherwise: each character outside a–z, 0–9 and '_' becomes "_xx_", its code
// in hexadecimal. An underscore is written so too where it would otherwise
// read as the beginning of such an escape, so that two topics never share a
// table: "a.b" is "a_2e_b", and a topic called "a_2e_b" is "a_5f_2e_b".
func TableName(topic string) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	b.Grow(len(topic) + 8)
	for i := range len(topic) {
		c := topic[i]
		if plain(c) || c == '_' && !looksEscaped(topic[i:]) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('_')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
		b.WriteByte('_')
	}
	return b.String()
}

// looksEscaped reports whether the underscore at the start of s, written as it
// is, would be followed by two hexadecimal digits and an underscore. What
// comes after the digits is an underscore if it is one, or if it is escaped.
func looksEscaped(s string) bool {
	return len(s) > 3 && isHex(s[1]) && isHex(s[2]) && !plain(s[3])
}

// checkTable says whether a table may have that name.
func checkTable(name string) error {
	if len(name) > maxTable {
		return fmt.Errorf("a table's name has at most %d characters, this has %d", maxTable, len(name))
	}
	for i := range len(name) {
		if c := name[i]; !plain(c) && c != '_' {
			return fmt.Errorf("a table's name is made of a–z, 0–9 and _")
		}
	}
	return nil
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isHex(c byte) bool   { return isDigit(c) || 'a' <= c && c <= 'f' }
func plain(c byte) bool   { return isLower(c) || isDigit(c) }
