#!/usr/bin/env bash
# Installs the IDS engines that the end-to-end tests run, on Debian 12:
#
#   suricata               7.0.10, from bookworm-backports, by apt
#   build/suricata8.sh     8.0.8, from trixie-backports, unpacked beside the
#                          system into build/suricata8 and run with the
#                          libraries it was built against
#
# and what the tests of the Lua scripts and the live tests need. The mirror is
# the one that the machine's own apt sources name. The added suites are kept out
# of those sources. What is there already is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly want7=7.0.10 want8=8.0.8
readonly apt=$PWD/build/apt tree=$PWD/build/suricata8 run8=$PWD/build/suricata8.sh

# shellcheck source=/dev/null
. /etc/os-release
if [ "${VERSION_CODENAME-}" != bookworm ] || [ "$(dpkg --print-architecture)" != amd64 ]; then
	echo "engines: these packages are for Debian 12 on amd64" >&2
	exit 1
fi
root=()
[ "$(id -u)" = 0 ] || root=(sudo)

mirror() {
	# $(…) is apt's own notation.
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
		awk '$2 == "bookworm" { print $1; exit }'
}
mirror=$(mirror)
if [ -z "$mirror" ]; then
	echo "engines: apt's sources name no mirror of bookworm" >&2
	exit 1
fi

version() { # of a Suricata
	"$@" -V 2>/dev/null | sed -n 's/^This is Suricata version \([0-9.]*\) .*/\1/p'
}

# With lists of its own, so that the machine's next "apt-get upgrade" knows
# nothing of backports. Another apt-get that is at work is waited for.
aptget() {
	"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get --quiet --quiet \
		-o DPkg::Lock::Timeout=600 -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State::Lists="$apt/lists" "$@"
}

missing=()
need() { # command package
	command -v "$1" >/dev/null || missing+=("$2")
}
need mmdebstrap mmdebstrap
need tcpreplay tcpreplay
need jq jq
need ip iproute2
need sysctl procps
need luacheck lua-check
need lua5.4 lua5.4
need luajit luajit
# The sockets of Suricata 7's LuaJIT.
dpkg --status lua-socket >/dev/null 2>&1 || missing+=(lua-socket)
[ "$(version suricata)" = $want7 ] || missing+=("suricata/bookworm-backports")

if ((${#missing[@]} > 0)); then
	mkdir -p "$apt/lists/partial"
	printf 'deb %s %s main\n' "$mirror" bookworm "$mirror" bookworm-updates "$mirror" bookworm-backports >"$apt/sources.list"
	aptget update
	aptget install --yes --no-install-recommends "${missing[@]}" >/dev/null
fi

if [ ! -x "$run8" ] || [ "$(version "$run8")" != $want8 ]; then
	rm -rf "$tree"
	mkdir -p build
	mmdebstrap --quiet --variant=extract \
		--include=base-files,suricata/trixie-backports,lua-socket \
		trixie "$tree" \
		"deb $mirror trixie main" "deb $mirror trixie-backports main"
	lib=$tree/usr/lib/x86_64-linux-gnu
	cat >"$run8" <<-END
		#!/bin/sh
		# Runs Suricata 8 out of $tree.
		exec "$lib/ld-linux-x86-64.so.2" --library-path "$lib" "$tree/usr/bin/suricata" "\$@"
	END
	chmod +x "$run8"
fi

status=0
for engine in "suricata $want7" "$run8 $want8"; do
	read -r command want <<<"$engine"
	found=$(version "$command" || true)
	echo "$(basename "$command"): Suricata ${found:-does not run}"
	[ "$found" = "$want" ] || status=1
done
((status == 0)) || echo "engines: wanted $want7 and $want8" >&2
exit $status
