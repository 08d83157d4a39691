#!/usr/bin/env bash
# Prints where Suricata keeps what the plugin reads, as rows of src/layouts.inc:
#
#   ./layouts.sh SURICATA TAG...       for example ~/suricata suricata-8.0.0 main-8.0.x
#
# SURICATA is a git repository of Suricata. The headers of each tag are compiled
# as they are; what configure would find out is set here, for Linux with the
# options of distributions. Rows that are alike become one. It needs gcc and the
# development files of pcre2, jansson, libyaml and libpcap.
#
# SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
set -euo pipefail

if (($# < 2)); then
	sed -n '4s/^# *//p' "$0" >&2
	exit 2
fi
repository=$1
shift

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What stands for configure's result: every header that suricata-common.h asks
# for and that is here.
configure() { # source
	local macro header
	grep -oE 'HAVE_[A-Z0-9_]+_H\b' "$1/suricata-common.h" | sort -u | while read -r macro; do
		header=$(sed 's/^HAVE_//; s/_H$//' <<<"$macro" | tr '[:upper:]' '[:lower:]')
		for name in "$header.h" "${header/_//}.h"; do
			if echo "#include <$name>" | gcc -fsyntax-only -DPCRE2_CODE_UNIT_WIDTH=8 -x c - 2>/dev/null; then
				echo "#define $macro 1"
				break
			fi
		done
	done
	cat <<-END
		#define OS_LINUX 1
		#define PCRE2_CODE_UNIT_WIDTH 8
		#define TLS_C11 1
		#define CLS 64
		#define HAVE_AF_PACKET 1
		#define HAVE_PTHREAD_SPIN_UNLOCK 1
		#define PACKAGE_VERSION "0"
	END
}

offsets() { # tag
	local source=$work/$1/src seven
	mkdir -p "$work/$1"
	git -C "$repository" archive "$1" src | tar --extract --directory "$work/$1"
	mkdir "$work/$1/stub"
	configure "$source" >"$work/$1/stub/autoconf.h"
	touch "$work/$1/stub/rust.h" "$work/$1/stub/rust-bindings.h"
	if grep -q 'IPV4Hdr \*ip4h;' "$source/decode.h" && ! grep -q 'struct PacketL3' "$source/decode.h"; then
		seven=1
	else
		seven=0
	fi
	cat >"$work/$1/probe.c" <<-END
		#include "suricata-common.h"
		#include "decode.h"
		#include "flow.h"
		#define P(member) (int)offsetof(Packet, member)
		#define F(member) (int)offsetof(Flow, member)
		#if $seven
		#define IP4 ip4h
		#define IP6 ip6h
		#define DATA (int)sizeof(Packet)
		#else
		#define IP4 l3.hdrs.ip4h
		#define IP6 l3.hdrs.ip6h
		#define DATA P(pkt_data)
		#endif
		int main(void) {
			printf("{%d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d}, {%d, %d, %d, %d, %d, %d, %d, %d, %d, %d}\n",
				P(sp), P(dp), P(proto), P(flags), P(flow), P(flow_hash), P(ts), P(IP4), P(IP6), P(pktlen), P(ext_pkt), DATA,
				F(sp), F(dp), F(proto), F(flow_hash), F(lastts), F(flags), F(startts), F(todstpktcnt), F(tosrcpktcnt),
				F(alproto));
		}
	END
	gcc -std=gnu11 -w -DHAVE_CONFIG_H -D__SCFILENAME__=__FILE__ -I"$work/$1/stub" -I"$source" "$work/$1/probe.c" -o "$work/$1/probe" \
		-Wl,--unresolved-symbols=ignore-all
	"$work/$1/probe"
	rm -rf "${work:?}/$1"
}

# Which version a tag or branch is, as 7, 0, 10.
version() { # tag
	git -C "$repository" show "$1:configure.ac" |
		sed -nE 's/.*AC_INIT\(\[suricata\],\[([0-9]+)\.([0-9]+)\.([0-9]+).*/\1, \2, \3/p'
}

echo "// Printed by layouts.sh. A row holds from its version on, up to the next row"
echo "// or the end of its minor version."
for tag in "$@"; do
	echo "$(version "$tag")|$(offsets "$tag")|$tag"
done | awk -F '|' '
	function row() { printf "{%s, %s}, // %s to %s\n", first, last, from, tag }
	$2 != last { if (NR > 1) row(); first = $1; last = $2; from = $3 }
	{ tag = $3 }
	END { row() }'
