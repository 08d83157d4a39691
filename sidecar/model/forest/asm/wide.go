package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const wideSize = 64 // sixteen values of 32 bits, in bytes

// scoreWide scores sixteen rows with trees of so many leaves: first every test of a
// column with a threshold, each once, then tree by tree the nodes that have it.
func scoreWide(name string, leavesOfTree int) {
	TEXT(name, NOSPLIT, "func(tests *uint32, n int, columns *float32, passed *uint16, nodes, pairs *uint32, leaves *float64, trees, classes int, raw *float64)")
	tests, n := Load(Param("tests"), GP64()), Load(Param("n"), GP64())
	columns, passed := Load(Param("columns"), GP64()), Load(Param("passed"), GP64())
	to := GP64()
	MOVQ(passed, to)
	Label("tests")
	for i := range 4 {
		column, x, above := GP64(), ZMM(), K()
		MOVL(Mem{Base: tests, Disp: 8*i + 4}, column.As32())
		VMOVUPS(Mem{Base: columns, Index: column, Scale: 1}, x)
		VCMPPS_BCST(U8(0x1e), Mem{Base: tests, Disp: 8 * i}, x, above) // x > threshold
		KMOVW(above, Mem{Base: to, Disp: 2 * i})
	}
	ADDQ(Imm(32), tests)
	ADDQ(Imm(8), to)
	SUBQ(Imm(4), n)
	JNZ(LabelRef("tests"))

	nodes, pairs := Load(Param("nodes"), GP64()), Load(Param("pairs"), GP64())
	leaves, trees := Load(Param("leaves"), GP64()), Load(Param("trees"), GP64())
	classes, raw := Load(Param("classes"), GP64()), Load(Param("raw"), GP64())
	all, fifteen := ZMM(), ZMM()
	VPTERNLOGD(U8(0xff), all, all, all)
	if leavesOfTree == 32 {
		VPSRLD(Imm(28), all, fifteen)
	}
	sums := []VecVirtual{ZMM(), ZMM()}
	t, left := GP64(), GP32()

	Label("class")
	for _, s := range sums {
		VPXORQ(s, s, s)
	}
	MOVQ(trees, t)
	Label("tree")
	reachable := ZMM()
	VMOVDQA64(all, reachable)
	MOVL(Mem{Base: pairs}, left)
	Label("node")
	for i := range 2 {
		test, right := GP64(), K()
		MOVL(Mem{Base: nodes, Disp: 8 * i}, test.As32())
		KMOVW(Mem{Base: passed, Index: test, Scale: 1}, right)
		VPANDD_BCST(Mem{Base: nodes, Disp: 8*i + 4}, reachable, right, reachable)
	}
	ADDQ(Imm(16), nodes)
	DECL(left)
	JNZ(LabelRef("node"))

	leaf := ZMM()
	VPLZCNTD(reachable, leaf)
	var far [2]Register
	if leavesOfTree == 32 {
		far[0], far[1] = K(), K()
		VPCMPUD(U8(6), fifteen, leaf, far[0]) // leaf > 15
		KSHIFTRW(Imm(8), far[0], far[1])
	}
	upper := YMM()
	VEXTRACTI64X4(U8(1), leaf, upper)
	for i, eight := range []VecVirtual{leaf.AsY().(VecVirtual), upper} {
		value := ZMM()
		VPMOVZXDQ(eight, value)
		if leavesOfTree == 32 {
			other := ZMM()
			VMOVDQA64(value, other)
			table := ZMM()
			VMOVUPD(Mem{Base: leaves, Disp: 128}, table)
			VPERMI2PD(Mem{Base: leaves, Disp: 192}, table, other)
			table = ZMM()
			VMOVUPD(Mem{Base: leaves}, table)
			VPERMI2PD(Mem{Base: leaves, Disp: 64}, table, value)
			VMOVAPD(other, far[i], value)
		} else {
			table := ZMM()
			VMOVUPD(Mem{Base: leaves}, table)
			VPERMI2PD(Mem{Base: leaves, Disp: 64}, table, value)
		}
		VADDPD(value, sums[i], sums[i])
	}
	ADDQ(Imm(4), pairs)
	ADDQ(U32(8*leavesOfTree), leaves)
	DECQ(t)
	JNZ(LabelRef("tree"))
	for i := range sums {
		VMOVUPD(sums[i], Mem{Base: raw, Disp: 64 * i})
	}
	ADDQ(Imm(128), raw)
	DECQ(classes)
	JNZ(LabelRef("class"))
	VZEROUPPER()
	RET()
}
