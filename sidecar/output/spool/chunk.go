package spool

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"iter"
	"time"
)

// A chunk in a file, numbers in little endian:
//
//	0   4  "SFQ1"
//	4   4  bytes of items
//	8   8  number of the first item
//	16  4  number of items
//	20  8  when the first item came, Unix time in µs
//	28  4  CRC-32C of the bytes before and of the items
//	32     items, each 4 bytes of length and so many bytes
const (
	magic      = "SFQ1"
	headerSize = 32
)

// ItemHead is how many bytes of length stand before an item.
const ItemHead = 4

// MaxItem is the largest item, in bytes.
const MaxItem = 16 << 20

// maxChunk is the largest chunk: an item more than what is gathered at once.
const maxChunk = headerSize + gather + ItemHead + MaxItem

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errDamaged = errors.New("a damaged chunk")
	errCut     = errors.New("a chunk that was cut")
)

// Chunk is some items that follow each other.
type Chunk struct {
	First   uint64    // number of the first item
	Count   int       // number of items, at least 1
	Arrived time.Time // when the first item came

	buf    []byte // header and items
	at     position
	next   position // where the chunk after it begins
	onDisk bool
}

// AppendItem appends an item to items that are to be added.
func AppendItem(dst, item []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(item)))
	return append(dst, item...)
}

// BeginItem makes room for the length of an item that is appended to dst next;
// EndItem, with the length of dst before, writes it.
func BeginItem(dst []byte) []byte { return append(dst, 0, 0, 0, 0) }

// EndItem writes the length of the item that began at a length of items.
func EndItem(items []byte, began int) {
	binary.LittleEndian.PutUint32(items[began:], uint32(len(items)-began-ItemHead))
}

// Bytes is the memory that the chunk takes.
func (c *Chunk) Bytes() int { return cap(c.buf) }

// Items are the chunk's items, in order. They are the chunk's until it is done.
func (c *Chunk) Items() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := c.buf[headerSize:]; len(rest) > 0; {
			n := ItemHead + int(binary.LittleEndian.Uint32(rest))
			if !yield(rest[ItemHead:n]) {
				return
			}
			rest = rest[n:]
		}
	}
}

// seal writes the header.
func (c *Chunk) seal() {
	h := c.buf[:headerSize]
	copy(h, magic)
	binary.LittleEndian.PutUint32(h[4:], uint32(len(c.buf)-headerSize))
	binary.LittleEndian.PutUint64(h[8:], c.First)
	binary.LittleEndian.PutUint32(h[16:], uint32(c.Count))
	binary.LittleEndian.PutUint64(h[20:], uint64(c.Arrived.UnixMicro()))
	binary.LittleEndian.PutUint32(h[28:], c.sum())
}

func (c *Chunk) sum() uint32 {
	return crc32.Update(crc32.Checksum(c.buf[:28], castagnoli), castagnoli, c.buf[headerSize:])
}

// length is how long the chunk is that a header of a file begins.
func length(header []byte) (int, error) {
	if string(header[:4]) != magic {
		return 0, errDamaged
	}
	n := headerSize + int64(binary.LittleEndian.Uint32(header[4:]))
	if n > maxChunk {
		return 0, errDamaged
	}
	return int(n), nil
}

// parse reads the chunk that is in c.buf, and trusts nothing.
func (c *Chunk) parse() error {
	if len(c.buf) < headerSize {
		return errCut
	}
	n, err := length(c.buf)
	switch {
	case err != nil:
		return err
	case n > len(c.buf):
		return errCut
	case n < len(c.buf):
		return errDamaged
	}
	c.First = binary.LittleEndian.Uint64(c.buf[8:])
	c.Count = int(binary.LittleEndian.Uint32(c.buf[16:]))
	c.Arrived = time.UnixMicro(int64(binary.LittleEndian.Uint64(c.buf[20:])))
	if binary.LittleEndian.Uint32(c.buf[28:]) != c.sum() {
		return errDamaged
	}
	items := 0
	for rest := c.buf[headerSize:]; len(rest) > 0; items++ {
		if len(rest) < ItemHead {
			return errDamaged
		}
		n := int64(binary.LittleEndian.Uint32(rest)) + ItemHead
		if n > int64(len(rest)) {
			return errDamaged
		}
		rest = rest[n:]
	}
	if items != c.Count || items == 0 || c.First == 0 || c.First+uint64(items) < c.First {
		return errDamaged
	}
	return nil
}
