package wire

import (
	"errors"
	"fmt"
)

// Name is the code's name in Kafka, such as "INVALID_RECORD". An unknown code
// gives its number.
func (c Code) Name() string {
	if i := int(c) + 1; i >= 0 && i < len(codeTable) {
		return codeTable[i].name
	}
	return fmt.Sprintf("CODE_%d", int16(c))
}

// String is Name.
func (c Code) String() string { return c.Name() }

// Codes lists all codes, from -1 on.
func Codes() []Code {
	out := make([]Code, len(codeTable))
	for i := range out {
		out[i] = Code(i - 1)
	}
	return out
}

// Retriable reports whether clients try again by themselves on this code.
func (c Code) Retriable() bool {
	i := int(c) + 1
	return i >= 0 && i < len(codeTable) && codeTable[i].retriable
}

// Error is a protocol error: what a handler returns to have a code of its choice
// sent, with a message where the response has room for one.
type Error struct {
	Code    Code
	Message string // for people; may be empty
}

// Error is the code's name and the message.
func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code.Name()
	}
	return e.Code.Name() + ": " + e.Message
}

// Is reports whether target is an Error of the same code, so that errors.Is
// works with &Error{Code: …} whatever the message.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Errorf makes an Error with a formatted message.
func Errorf(c Code, format string, args ...any) *Error {
	return &Error{Code: c, Message: fmt.Sprintf(format, args...)}
}

// CodeOf is the code of the first Error in err's chain: None for nil,
// UnknownServerError if there is none.
func CodeOf(err error) Code {
	if err == nil {
		return None
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return UnknownServerError
}

// MessageOf is the message of the first Error in err's chain, or nil if there is
// none to show. The text of other errors stays inside: it may hold paths and
// queries.
func MessageOf(err error) *string {
	var e *Error
	if !errors.As(err, &e) || e.Message == "" {
		return nil
	}
	return &e.Message
}
