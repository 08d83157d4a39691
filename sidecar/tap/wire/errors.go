package wire

import (
	"fmt"
	"io"
)

// ErrorCode is ERROR's first field: why the sidecar closes the connection.
type ErrorCode int

// The error codes of version 1. A tap treats one it does not know as
// CodeInternal.
const (
	CodeMalformed ErrorCode = 1 // a message broke the specification
	CodeVersion   ErrorCode = 2 // HELLO's version is not served
	CodeOrder     ErrorCode = 3 // a message came where it may not, for example before HELLO
	CodeRefused   ErrorCode = 4 // this peer may not connect
	CodeLimit     ErrorCode = 5 // too many connections
	CodeTimeout   ErrorCode = 6 // no HELLO, or nothing at all, for too long
	CodeShutdown  ErrorCode = 7 // the sidecar is stopping; connect again later
	CodeInternal  ErrorCode = 8 // an internal error of the sidecar
)

// MalformedError reports a message that breaks the specification. The Decoder
// returns it for what it reads and stays broken; the Encoder returns it, with
// Offset 0, for what it refuses to write, and can continue.
type MalformedError struct {
	Offset int64  // bytes from the connection's start to the offending value
	Field  string // the field's name as in the specification
	Why    string
	place
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("malformed message%v: %s: %s", e.place.at(e.Offset), e.Field, e.Why)
}

// CutError reports that the connection ended inside a message.
type CutError struct {
	Offset int64 // bytes from the connection's start to its end
	place
}

func (e *CutError) Error() string {
	return fmt.Sprintf("the connection ended inside message%v", e.place.at(e.Offset))
}

// Unwrap returns io.ErrUnexpectedEOF.
func (e *CutError) Unwrap() error { return io.ErrUnexpectedEOF }

// place is the message that a Decoder was reading.
type place struct {
	Number uint64 // of the connection's messages, from 1; 0: not known
	Start  int64  // bytes from the connection's start to the message
	Kind   Kind
}

// at names an offset of the stream by the message that it lies in.
func (p place) at(offset int64) string {
	if p.Number == 0 {
		return fmt.Sprintf(" at byte %d", offset)
	}
	kind := ""
	if p.Kind != kindUnread {
		kind = fmt.Sprintf(" (%v)", p.Kind)
	}
	return fmt.Sprintf(" %d%s at its byte %d (byte %d of the connection)", p.Number, kind, offset-p.Start, offset)
}

// Code is the code of an ERROR message for e.
func (e *MalformedError) Code() ErrorCode {
	if e.Field == "version" {
		return CodeVersion
	}
	return CodeMalformed
}
