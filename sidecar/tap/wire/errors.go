package wire

import "fmt"

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
	CodeInternal  ErrorCode = 8 // a fault of the sidecar
)

// MalformedError says that a message breaks the specification. The Decoder
// returns it for what it read and stays broken; the Encoder returns it, with
// Offset 0, for what it refuses to write, and can go on.
type MalformedError struct {
	Offset int64  // bytes from the connection's start to the offending value
	Field  string // the field's name as in the specification
	Why    string
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("malformed message at byte %d: %s: %s", e.Offset, e.Field, e.Why)
}

// Code returns what an ERROR message tells the peer about e.
func (e *MalformedError) Code() ErrorCode {
	if e.Field == "version" {
		return CodeVersion
	}
	return CodeMalformed
}
