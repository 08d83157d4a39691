package forest

import "golang.org/x/sys/cpu"

//go:generate sh -c "cd asm && go run . -out ../lanes_amd64.s"

// vector says that this processor has what the assembly for eight rows needs, wider that
// it has what that for sixteen rows needs.
var (
	vector = cpu.X86.HasAVX2 && cpu.X86.HasBMI1 && cpu.X86.HasFMA
	wider  = vector && cpu.X86.HasAVX512F && cpu.X86.HasAVX512CD
)

// scan8 sets reachable, for each of so many trees, to the leaves that eight rows can
// reach. A row is stride bytes long, and n columns of it are tested. It returns a bit
// for each row in which one of them is NaN: then reachable means nothing.
//
//go:noescape
func scan8(columns *laneColumn, n int, nodes *laneNode, rows *float32, stride int, reachable *[laneRows]uint32, trees int) (nan uint32)

// sum8 sets raw, for each class, to the sum of the leaves that each of eight rows exits
// at in so many trees of the class. first says where the leaves of a tree begin, in bytes.
//
//go:noescape
func sum8(reachable *[laneRows]uint32, first *uint32, leaves *float64, trees, classes int, raw *float64)

// transpose8 writes the columns of eight rows of at least eight values, wideRows apart.
// It returns zero if no value is NaN.
//
//go:noescape
func transpose8(rows *[8]*float32, width int, columns *float32) (nan uint32)

// score16 sets raw, for each class, to the sum of the leaves that sixteen rows exit at
// in so many trees of the class, each of 16 leaves. n, a multiple of four, is how many
// tests there are, and passed is scratch memory for their results.
//
//go:noescape
func score16(tests *wideTest, n int, columns *float32, passed *uint16, nodes *wideNode, pairs *uint32, leaves *float64, trees, classes int, raw *float64)

// score32 is score16 for trees of 32 leaves.
//
//go:noescape
func score32(tests *wideTest, n int, columns *float32, passed *uint16, nodes *wideNode, pairs *uint32, leaves *float64, trees, classes int, raw *float64)

// softmax4 writes the probabilities of four rows, which are width values apart, from
// their raw scores: four for each class, stride bytes from class to class, which it
// overwrites. If scores are so far apart that it cannot, it returns a bit for each such
// row and writes nothing.
//
//go:noescape
func softmax4(raw *float64, stride, classes int, probs *float32, width int) (far uint32)
