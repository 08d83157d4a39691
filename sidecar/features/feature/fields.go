package feature

// section is a part of the catalogue. The headers come first.
type section int

const (
	ipv4 section = iota
	tcp
	udp
	ipv6
	icmp
	seq
	shape
	sections // how many

	headers = seq // how many sections are headers
)

var sectionNames = [sections]string{"ipv4", "tcp", "udp", "ipv6", "icmp", "seq", "shape"}

// field is a field of a header: its bits have one column each.
type field struct {
	name string // as nPrint calls it
	bits int
	mask Mask // masks that hide the field in every packet
}

// headerFields lists the fields of each header in the order of the wire.
var headerFields = [headers][]field{
	ipv4: {
		{"ver", 4, 0},
		{"hl", 4, 0},
		{"tos", 8, 0},
		{"tl", 16, 0},
		{"id", 16, MaskIdentifiers},
		{"rbit", 1, 0},
		{"dfbit", 1, 0},
		{"mfbit", 1, 0},
		{"foff", 13, 0},
		{"ttl", 8, 0},
		{"proto", 8, 0},
		{"cksum", 16, MaskChecksums},
		{"src", 32, MaskAddresses},
		{"dst", 32, MaskAddresses},
		{"opt", 320, 0},
	},
	tcp: {
		{"sprt", 16, 0},
		{"dprt", 16, 0},
		{"seq", 32, MaskTCPSequence},
		{"ackn", 32, MaskTCPSequence},
		{"doff", 4, 0},
		{"res", 3, 0},
		{"ns", 1, 0},
		{"cwr", 1, 0},
		{"ece", 1, 0},
		{"urg", 1, 0},
		{"ackf", 1, 0},
		{"psh", 1, 0},
		{"rst", 1, 0},
		{"syn", 1, 0},
		{"fin", 1, 0},
		{"wsize", 16, 0},
		{"cksum", 16, MaskChecksums},
		{"urp", 16, 0},
		{"opt", 320, 0},
	},
	udp: {
		{"sport", 16, 0},
		{"dport", 16, 0},
		{"len", 16, 0},
		{"cksum", 16, MaskChecksums},
	},
	ipv6: {
		{"ver", 4, 0},
		{"tc", 8, 0},
		{"fl", 20, MaskIdentifiers},
		{"len", 16, 0},
		{"nh", 8, 0},
		{"hl", 8, 0},
		{"src", 128, MaskAddresses},
		{"dst", 128, MaskAddresses},
	},
	icmp: {
		{"type", 8, 0},
		{"code", 8, 0},
		{"cksum", 16, MaskChecksums},
		{"roh", 32, 0}, // "rest of header", of which some types hold identifiers
	},
}

// Columns of the seq section. One packet's are p3_<name>.
const (
	seqDir = iota
	seqPayload
	seqLen
	seqGap
	seqFlags
	seqWindow
)

var seqNames = []string{"dir", "payload", "len", "gap", "flags", "window"}

// seqHeaders tells which of seqNames a tap must see headers for.
var seqHeaders = []bool{seqLen: true, seqFlags: true, seqWindow: true}

// Those over the first packets are first3_<name>.
const (
	firstOrigPkts = iota
	firstRespPkts
	firstOrigBytes
	firstRespBytes
	firstDuration
)

var firstNames = []string{"orig_pkts", "resp_pkts", "orig_bytes", "resp_bytes", "duration"}

// Those of the flow are <name>.
const (
	flowProto = iota
	flowRespPort
	flowICMPType
)

var flowNames = []string{"proto", "resp_port", "icmp_type"}
