package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// position is a place in the files.
type position struct {
	segment uint64
	offset  int64
}

func (p position) before(q position) bool {
	return p.segment < q.segment || p.segment == q.segment && p.offset < q.offset
}

// segment is one file.
type segment struct {
	id   uint64
	size int64
}

// segmentBytes is the size past which another segment is begun.
const segmentBytes = 16 << 20

const (
	suffix     = ".spool"
	cursorFile = "cursor"
	lockFile   = "lock"
)

func (q *Queue) path(id uint64) string {
	return filepath.Join(q.options.Dir, fmt.Sprintf("%016x%s", id, suffix))
}

// lock sees to it that one process alone uses the directory.
func lock(dir string) (*os.File, error) {
	f, err := openFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s is used by another process: give each a directory of its own", dir)
		}
		return nil, err
	}
	return f, nil
}

// openFile opens a file of the queue. A link is not followed, and nothing that is no
// regular file is waited for.
func openFile(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o640)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file: move it away", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// maxSegment is more segments than there will ever be.
const maxSegment = 1 << 62

// list finds the segments of earlier runs, in order.
func list(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []segment
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		id, err := strconv.ParseUint(name, 16, 64)
		if !ok || err != nil || len(name) != 16 || id > maxSegment || !e.Type().IsRegular() {
			continue // not ours
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		found = append(found, segment{id, info.Size()})
	}
	slices.SortFunc(found, func(a, b segment) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return found, nil
}

// recover finds out what earlier runs have left.
func (q *Queue) recover() error {
	segments, err := list(q.options.Dir)
	if err != nil {
		return err
	}
	q.number, q.doneTo = 1, 1
	var from position
	number, at, known := readCursor(q.options.Dir)
	if known {
		q.number, q.doneTo, from = number, number, at
	}
	for _, s := range segments {
		if s.id < from.segment {
			if err := os.Remove(q.path(s.id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			continue
		}
		q.segments = append(q.segments, s)
		q.onDisk += s.size
	}
	// A new segment is begun in any case, so that nothing is appended to what a
	// crash may have cut.
	q.tail = position{segment: from.segment + 1}
	if n := len(q.segments); n > 0 {
		q.tail.segment = q.segments[n-1].id + 1
		q.number = max(q.number, q.lastNumber()+1)
		if q.segments[0].id != from.segment {
			from = position{segment: q.segments[0].id}
		}
		if !known {
			q.doneTo = q.firstNumber()
		}
		q.closeReading()
	} else {
		from = q.tail
	}
	q.readAt, q.expect = from, q.doneTo
	return nil
}

// lastNumber is the number of the last item on disk, 0 if it is not known.
func (q *Queue) lastNumber() (last uint64) {
	for i := len(q.segments) - 1; i >= 0 && last == 0; i-- {
		for c, err := range q.chunksOf(q.segments[i]) {
			// Of a damaged chunk that follows the one before, the header is right.
			follows := last > 0 && c.First == last+1 && c.Count > 0 && c.Count <= len(c.buf)/ItemHead
			if err == nil || follows {
				last = max(last, c.First+uint64(c.Count)-1)
			}
		}
	}
	return last
}

// firstNumber is the number of the first item on disk, that of the next one if nothing
// can be read. Damaged chunks count if their headers lead to the first sound one.
func (q *Queue) firstNumber() uint64 {
	var first, next uint64 // of damaged chunks that follow each other
	for _, s := range q.segments {
		for c, err := range q.chunksOf(s) {
			if err == nil && next == c.First {
				return first
			} else if err == nil {
				return c.First
			}
			if c.First != next || next == 0 {
				first = c.First
			}
			next = c.First + uint64(c.Count)
		}
	}
	return q.number
}

// chunksOf gives the chunks of a segment, a damaged one with its error, up to one that
// does not say where it ends.
func (q *Queue) chunksOf(s segment) iter.Seq2[*Chunk, error] {
	return func(yield func(*Chunk, error) bool) {
		for at := (position{segment: s.id}); at.offset < s.size; {
			c, err := q.load(at)
			if c == nil || !yield(c, err) {
				return
			}
			at = c.next
		}
	}
}

// load reads the chunk at a position. Of a damaged chunk that is there as long as its
// header says, it returns where the next one begins, too.
func (q *Queue) load(at position) (*Chunk, error) {
	if q.reading == nil || q.readingID != at.segment {
		q.closeReading()
		f, err := openFile(q.path(at.segment), os.O_RDONLY)
		if err != nil {
			return nil, err
		}
		q.reading, q.readingID = f, at.segment
	}
	var header [headerSize]byte
	if err := readAt(q.reading, header[:], at.offset); err != nil {
		return nil, err
	}
	n, err := length(header[:])
	if err != nil {
		return nil, err
	}
	c := &Chunk{buf: make([]byte, n), at: at, next: position{at.segment, at.offset + int64(n)}, onDisk: true}
	if err := readAt(q.reading, c.buf, at.offset); err != nil {
		return nil, err
	}
	return c, c.parse()
}

func readAt(f *os.File, b []byte, offset int64) error {
	if _, err := f.ReadAt(b, offset); err == io.EOF {
		return errCut
	} else if err != nil {
		return err
	}
	return nil
}

func (q *Queue) closeReading() {
	if q.reading != nil {
		q.reading.Close()
		q.reading = nil
	}
}

// cursorSize is the number of the first item that is not done, its place, and a
// CRC-32C of these.
const cursorSize = 8 + 8 + 8 + 4

func writeCursor(f *os.File, number uint64, at position) error {
	var b [cursorSize]byte
	binary.LittleEndian.PutUint64(b[0:], number)
	binary.LittleEndian.PutUint64(b[8:], at.segment)
	binary.LittleEndian.PutUint64(b[16:], uint64(at.offset))
	binary.LittleEndian.PutUint32(b[24:], crc32.Checksum(b[:24], castagnoli))
	_, err := f.WriteAt(b[:], 0)
	return err
}

// readCursor returns false if there is none that can be trusted: then everything
// that is there is given again.
func readCursor(dir string) (number uint64, at position, ok bool) {
	f, err := openFile(filepath.Join(dir, cursorFile), os.O_RDONLY)
	if err != nil {
		return 0, position{}, false
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, cursorSize+1))
	if err != nil || len(b) != cursorSize || binary.LittleEndian.Uint32(b[24:]) != crc32.Checksum(b[:24], castagnoli) {
		return 0, position{}, false
	}
	at = position{binary.LittleEndian.Uint64(b[8:]), int64(binary.LittleEndian.Uint64(b[16:]))}
	number = binary.LittleEndian.Uint64(b[0:])
	return number, at, number > 0 && at.offset >= 0
}
