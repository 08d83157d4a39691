package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// softmax turns the raw scores of four rows into probabilities. The exponential is
// computed step by step as math.Exp does on amd64 with FMA, so that it is the same bit
// for bit: N. Shibata, "Efficient evaluation methods of elementary functions suitable
// for SIMD computation", ISC 2010.
func softmax() {
	constants := constant4("log2e", math.Log2E, "ln2high", 0.69314718055966295651160180568695068359375,
		"ln2low", 0.28235290563031577122588448175013436025525412068e-12, "sixteenth", 0.0625,
		"c8", 2.4801587301587301587e-5, "c7", 1.9841269841269841270e-4, "c6", 1.3888888888888888889e-3,
		"c5", 8.3333333333333333333e-3, "c4", 4.1666666666666666667e-2, "c3", 1.6666666666666666667e-1,
		"half", 0.5, "one", 1, "two", 2, "least", -700)
	bias := GLOBL("bias", RODATA|NOPTR)
	for i := range 4 {
		DATA(8*i, U64(0x3ff))
	}

	TEXT("softmax4", NOSPLIT, "func(raw *float64, stride, classes int, probs *float32, width int) (far uint32)")
	raw, stride, classes := Load(Param("raw"), GP64()), Load(Param("stride"), GP64()), Load(Param("classes"), GP64())
	probs, width := Load(Param("probs"), GP64()), Load(Param("width"), GP64())

	Comment("The greatest and the least of each row.")
	top, low, at, n := YMM(), YMM(), GP64(), GP64()
	VMOVUPD(Mem{Base: raw}, top)
	VMOVAPD(top, low)
	MOVQ(raw, at)
	MOVQ(classes, n)
	Label("greatest")
	v := YMM()
	VMOVUPD(Mem{Base: at}, v)
	VMAXPD(v, top, top)
	VMINPD(v, low, low)
	ADDQ(stride, at)
	DECQ(n)
	JNZ(LabelRef("greatest"))
	near, bits := YMM(), GP32()
	VSUBPD(top, low, low)
	VCMPPD(U8(0x1d), constants["least"], low, near) // low - top >= least
	VMOVMSKPD(near, bits)
	XORL(Imm(15), bits)
	Store(bits, ReturnIndex(0))
	JNZ(LabelRef("end"))

	Comment("The exponentials and their sum.")
	sum := YMM()
	VXORPD(sum, sum, sum)
	MOVQ(raw, at)
	MOVQ(classes, n)
	Label("exponential")
	x, y, power, exponent := YMM(), YMM(), YMM(), XMM()
	VMOVUPD(Mem{Base: at}, x)
	VSUBPD(top, x, x)
	VMULPD(constants["log2e"], x, y)
	VCVTPD2DQY(y, exponent)
	VCVTDQ2PD(exponent, y)
	part := YMM()
	VMOVUPD(constants["ln2high"], part)
	VFNMADD231PD(part, y, x)
	VMOVUPD(constants["ln2low"], part)
	VFNMADD231PD(part, y, x)
	VMULPD(constants["sixteenth"], x, x)
	VMOVUPD(constants["c8"], y)
	for _, c := range []string{"c7", "c6", "c5", "c4", "c3", "half", "one"} {
		VFMADD213PD(constants[c], x, y)
	}
	VMULPD(y, x, x)
	for range 3 {
		VADDPD(constants["two"], x, y)
		VMULPD(y, x, x)
	}
	VADDPD(constants["two"], x, y)
	VFMADD213PD(constants["one"], y, x)
	VPMOVSXDQ(exponent, power)
	VPADDQ(bias, power, power)
	VPSLLQ(Imm(52), power, power)
	VMULPD(power, x, x)
	VMOVUPD(x, Mem{Base: at})
	VADDPD(x, sum, sum)
	ADDQ(stride, at)
	DECQ(n)
	JNZ(LabelRef("exponential"))

	Comment("The probabilities, row by row.")
	width3 := GP64()
	SHLQ(Imm(2), width)
	LEAQ(Mem{Base: width, Index: width, Scale: 2}, width3)
	Label("probability")
	p, four := YMM(), XMM()
	VMOVUPD(Mem{Base: raw}, p)
	VDIVPD(sum, p, p)
	VCVTPD2PSY(p, four)
	VMOVSS(four, Mem{Base: probs})
	VEXTRACTPS(U8(1), four, Mem{Base: probs, Index: width, Scale: 1})
	VEXTRACTPS(U8(2), four, Mem{Base: probs, Index: width, Scale: 2})
	VEXTRACTPS(U8(3), four, Mem{Base: probs, Index: width3, Scale: 1})
	ADDQ(stride, raw)
	ADDQ(Imm(4), probs)
	DECQ(classes)
	JNZ(LabelRef("probability"))
	Label("end")
	VZEROUPPER()
	RET()
}

// constant4 defines constants of four equal numbers each, given as names and values.
func constant4(pairs ...any) map[string]Mem {
	all := map[string]Mem{}
	for i := 0; i < len(pairs); i += 2 {
		value := 0.0
		switch v := pairs[i+1].(type) {
		case float64:
			value = v
		case int:
			value = float64(v)
		}
		name := pairs[i].(string)
		all[name] = GLOBL(name, RODATA|NOPTR)
		for k := range 4 {
			DATA(8*k, U64(math.Float64bits(value))) // F64 writes whole numbers as integers
		}
	}
	return all
}

// transpose writes the columns of eight rows, eight values each: a block of eight
// columns at a time, the last one ending with the last column.
func transpose() {
	TEXT("transpose8", NOSPLIT, "func(rows *[8]*float32, width int, columns *float32) (nan uint32)")
	rows, left, columns := Load(Param("rows"), GP64()), Load(Param("width"), GP64()), Load(Param("columns"), GP64())
	var row [8]Register
	for i := range row {
		row[i] = GP64()
		MOVQ(Mem{Base: rows, Disp: 8 * i}, row[i].(GPVirtual))
	}
	nan, at, to := YMM(), GP64(), GP64()
	VXORPS(nan, nan, nan)
	XORQ(at, at)
	MOVQ(columns, to)
	SUBQ(Imm(8), left)

	Label("block")
	var a, b [8]VecVirtual
	for i := range a {
		a[i] = YMM()
		VMOVUPS(Mem{Base: row[i], Index: at, Scale: 4}, a[i])
	}
	unordered := YMM()
	for i := 0; i < 8; i += 2 {
		VCMPPS(U8(3), a[i], a[i+1], unordered)
		VORPS(unordered, nan, nan)
	}
	for i := 0; i < 8; i += 2 { // 0 4, 1 5 of rows i and i+1 in pairs
		b[i], b[i+1] = YMM(), YMM()
		VUNPCKLPS(a[i+1], a[i], b[i])
		VUNPCKHPS(a[i+1], a[i], b[i+1])
	}
	for i := 0; i < 8; i += 4 {
		a[i], a[i+1], a[i+2], a[i+3] = YMM(), YMM(), YMM(), YMM()
		VSHUFPS(U8(0x44), b[i+2], b[i], a[i])
		VSHUFPS(U8(0xee), b[i+2], b[i], a[i+1])
		VSHUFPS(U8(0x44), b[i+3], b[i+1], a[i+2])
		VSHUFPS(U8(0xee), b[i+3], b[i+1], a[i+3])
	}
	for i := range 4 {
		low, high := YMM(), YMM()
		VPERM2F128(U8(0x20), a[i+4], a[i], low)
		VPERM2F128(U8(0x31), a[i+4], a[i], high)
		VMOVUPS(low, Mem{Base: to, Disp: wideSize * i})
		VMOVUPS(high, Mem{Base: to, Disp: wideSize * (i + 4)})
	}
	CMPQ(at, left)
	JE(LabelRef("done"))
	ADDQ(Imm(8), at)
	CMPQ(at, left)
	CMOVQGT(left, at)
	MOVQ(at, to)
	SHLQ(Imm(6), to) // times wideSize
	ADDQ(columns, to)
	JMP(LabelRef("block"))

	Label("done")
	any := GP32()
	VMOVMSKPS(nan, any)
	Store(any, ReturnIndex(0))
	VZEROUPPER()
	RET()
}
