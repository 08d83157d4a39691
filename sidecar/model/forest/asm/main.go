// Command asm writes the assembly of package forest for AVX2 and AVX-512. It is run
// by "go generate" in that package, and is a module of its own, so that the sidecar does
// not depend on what it is made with.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The sizes of the structs in lanes.go, in bytes.
const (
	columnSize = 16
	nodeSize   = 12
	vectorSize = 32 // eight values of 32 bits
	unroll     = 4  // nodes between two looks at whether there may be more
)

func main() {
	scan()
	sum()
	softmax()
	transpose()
	scoreWide("score16", 16)
	scoreWide("score32", 32)
	Generate()
}

func scan() {
	TEXT("scan8", NOSPLIT, "func(columns *uint32, n int, nodes *uint32, rows *float32, stride int, reachable *uint32, trees int) (nan uint32)")
	column, n := Load(Param("columns"), GP64()), Load(Param("n"), GP64())
	nodes, rows := Load(Param("nodes"), GP64()), Load(Param("rows"), GP64())
	stride, reachable := Load(Param("stride"), GP64()), Load(Param("reachable"), GP64())
	stride3 := GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	trees, set, all := Load(Param("trees"), GP64()), GP64(), YMM()
	VPCMPEQD(all, all, all)
	MOVQ(reachable, set)
	Label("all")
	VMOVDQU(all, Mem{Base: set})
	ADDQ(Imm(vectorSize), set)
	DECQ(trees)
	JNZ(LabelRef("all"))

	nan := YMM()
	VXORPS(nan, nan, nan)

	Label("column")
	TESTQ(n, n)
	JZ(LabelRef("done"))
	x := eightOf(column, rows, stride, stride3)
	unordered := YMM()
	VCMPPS(U8(0x03), x, x, unordered)
	VORPS(unordered, nan, nan)
	lowest, above, any := YMM(), YMM(), GP32()
	VBROADCASTSS(Mem{Base: column, Disp: 4}, lowest)
	VCMPPS(U8(0x1e), lowest, x, above) // x > lowest
	VMOVMSKPS(above, any)
	TESTL(any, any)
	JZ(LabelRef("next"))
	node := GP64()
	MOVL(Mem{Base: column, Disp: 8}, node.As32())
	ADDQ(nodes, node)

	Label("nodes")
	for i := range unroll {
		at := i * nodeSize
		tree, threshold, mask := GP64(), YMM(), YMM()
		VBROADCASTSS(Mem{Base: node, Disp: at}, threshold)
		MOVL(Mem{Base: node, Disp: at + 4}, tree.As32())
		VPBROADCASTD(Mem{Base: node, Disp: at + 8}, mask)
		above := YMM()
		VCMPPS(U8(0x1e), threshold, x, above)
		VPAND(above, mask, mask)
		VPANDN(Mem{Base: reachable, Index: tree, Scale: 1}, mask, mask)
		VMOVDQU(mask, Mem{Base: reachable, Index: tree, Scale: 1})
		if i == unroll-1 {
			VMOVMSKPS(above, any)
		}
	}
	ADDQ(Imm(unroll*nodeSize), node)
	TESTL(any, any)
	JNZ(LabelRef("nodes"))

	Label("next")
	ADDQ(Imm(columnSize), column)
	DECQ(n)
	JMP(LabelRef("column"))

	Label("done")
	VMOVMSKPS(nan, any)
	Store(any, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// eightOf is the values of a column in eight rows.
func eightOf(column, rows, stride, stride3 Register) VecVirtual {
	p, q := GP64(), GP64()
	MOVL(Mem{Base: column}, p.As32())
	ADDQ(rows, p)
	LEAQ(Mem{Base: p, Index: stride, Scale: 4}, q)
	half := func(p Register) VecVirtual {
		x := XMM()
		VMOVSS(Mem{Base: p}, x)
		VINSERTPS(U8(0x10), Mem{Base: p, Index: stride, Scale: 1}, x, x)
		VINSERTPS(U8(0x20), Mem{Base: p, Index: stride, Scale: 2}, x, x)
		VINSERTPS(U8(0x30), Mem{Base: p, Index: stride3, Scale: 1}, x, x)
		return x
	}
	low, high, x := half(p), half(q), YMM()
	VINSERTF128(U8(1), high, low.AsY(), x)
	return x
}

func sum() {
	TEXT("sum8", NOSPLIT, "func(reachable *uint32, first *uint32, leaves *float64, trees, classes int, raw *float64)")
	reachable, first := Load(Param("reachable"), GP64()), Load(Param("first"), GP64())
	leaves, trees := Load(Param("leaves"), GP64()), Load(Param("trees"), GP64())
	classes, raw := Load(Param("classes"), GP64()), Load(Param("raw"), GP64())
	var sums [8]VecVirtual
	for i := range sums {
		sums[i] = XMM()
	}
	t := GP64()

	Label("class")
	for _, s := range sums {
		VXORPD(s, s, s)
	}
	MOVQ(trees, t)
	Label("tree")
	leaf := GP64()
	MOVL(Mem{Base: first}, leaf.As32())
	ADDQ(leaves, leaf)
	for i, s := range sums {
		n := GP64()
		TZCNTL(Mem{Base: reachable, Disp: 4 * i}, n.As32())
		VADDSD(Mem{Base: leaf, Index: n, Scale: 8}, s, s)
	}
	ADDQ(Imm(4), first)
	ADDQ(Imm(vectorSize), reachable)
	DECQ(t)
	JNZ(LabelRef("tree"))
	for i, s := range sums {
		VMOVSD(s, Mem{Base: raw, Disp: 8 * i})
	}
	ADDQ(Imm(64), raw)
	DECQ(classes)
	JNZ(LabelRef("class"))
	VZEROUPPER()
	RET()
}
