package replay

import (
	"bufio"
	"fmt"
	"io"
)

// input returns the decompressed bytes of a capture without copying them, and
// tracks the offset.
type input struct {
	r      *bufio.Reader
	used   int   // bytes handed out by the last call of next, not yet dropped
	toSkip int64 // bytes to pass over when those are dropped
	offset int64 // where the last structure began
	end    int64 // where the next one begins
	record int   // number of the packet being read, from 1
}

// inputBuffer has room for the longest structure.
const inputBuffer = MaxRecord + 64

func newInput(r io.Reader) *input { return &input{r: bufio.NewReaderSize(r, inputBuffer)} }

// begin marks the start of a structure, for errors.
func (in *input) begin() { in.offset = in.end }

// next returns the next n bytes, valid until the following call. It returns
// io.EOF only if there is not a single one.
func (in *input) next(n int) ([]byte, error) {
	if err := in.drop(); err != nil {
		return nil, err
	}
	b, err := in.r.Peek(n)
	if err == io.EOF && len(b) > 0 {
		return nil, cutError(n, len(b))
	}
	if err != nil {
		return nil, err
	}
	in.used = n
	in.end += int64(n)
	return b, nil
}

// more is next inside a structure, where the end of the input is an error.
func (in *input) more(n int) ([]byte, error) {
	b, err := in.next(n)
	if err == io.EOF && n > 0 {
		return nil, cutError(n, 0)
	}
	return b, err
}

// skip skips n bytes inside a structure, once the bytes returned before are no
// longer used.
func (in *input) skip(n int64) {
	in.toSkip += n
	in.end += n
}

// drop releases the bytes returned before.
func (in *input) drop() error {
	n, err := in.r.Discard(in.used)
	in.used -= n
	for err == nil && in.toSkip > 0 {
		step := min(in.toSkip, 1<<30)
		n, err = in.r.Discard(int(step))
		if err == io.EOF {
			err = cutError(int(step), n)
		}
		in.toSkip -= int64(n)
	}
	return err
}

func cutError(want, have int) error {
	return fmt.Errorf("the file is truncated: %d bytes expected, %d left: %w", want, have, io.ErrUnexpectedEOF)
}
