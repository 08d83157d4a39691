package forest

import "golang.org/x/sys/cpu"

//go:generate sh -c "cd asm && go run . -out ../lanes_amd64.s"

// vector says that this processor has what the assembly needs.
var vector = cpu.X86.HasAVX2 && cpu.X86.HasBMI1

// scan8 sets reachable, for each of so many trees, to the leaves that eight rows can
// reach. A row is stride bytes long, and n columns of it are tested. It returns a bit
// for each row in which one of them is NaN: then reachable means nothing.
//
//go:noescape
func scan8(columns *laneColumn, n int, nodes *laneNode, rows *float32, stride int, reachable *[laneRows]uint32, trees int) (nan uint32)

// sum8 adds to raw, for each class, the leaves that each of eight rows exits at in so
// many trees of the class. first says where the leaves of a tree begin, in bytes.
//
//go:noescape
func sum8(reachable *[laneRows]uint32, first *uint32, leaves *float64, trees, classes int, raw *[laneRows]float64)
