#!/usr/bin/env bash
# Makes the Zeek plugin and its scripts one archive, for the Zeek that is installed here.
#
#     packaging/zeek-plugin.sh [prefix [directory]]
#
# prefix is where Zeek is installed, by default that of the zeek-config on PATH; the
# archive goes into build/packages, or the directory given. Zeek loads a plugin only if
# it was built for its own version, so the archive is named for the plugin's version,
# Zeek's version and the machine. The same sources, compiler and Zeek give the same
# archive, byte for byte; SOURCE_DATE_EPOCH dates all that is in it, by default as the
# commit. CMake, make and a C++20 compiler do the work.
set -euo pipefail
fail() {
	echo "zeek-plugin: $1" >&2
	exit 1
}

if [ -n "${1-}" ]; then
	config=$(realpath -m "$1")/bin/zeek-config
	[ -x "$config" ] || fail "$1 is no prefix of a Zeek: there is no $config"
else
	config=$(command -v zeek-config) || fail "no zeek-config on PATH: name the prefix of your Zeek, as in ZEEK=/opt/zeek"
fi
output=$(realpath -m "${2:-build/packages}")
cd "$(dirname "$0")/.."
zeek=$("$config" --version)
[[ $zeek =~ ^([0-9]+)\. ]] || fail "$config says that Zeek's version is '$zeek'"
((BASH_REMATCH[1] >= 8)) || fail "this is Zeek $zeek, and the plugin needs 8.0 or newer"
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH
umask 022

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Neither where it is built nor by whom is to show in it.
{
	cmake -S zeek-scripts -B "$work/build" -DCMAKE_BUILD_TYPE=Release \
		-DCMAKE_MODULE_PATH="$("$config" --cmake_dir)" \
		-DCMAKE_CXX_FLAGS="-ffile-prefix-map=$work=. -ffile-prefix-map=$PWD=." \
		-DCMAKE_MODULE_LINKER_FLAGS="-s -Wl,--build-id=none" &&
		cmake --build "$work/build"
} >"$work/said" 2>&1 || {
	cat "$work/said" >&2
	fail "the plugin does not build for Zeek $zeek"
}

mkdir "$work/root"
tar -C "$work/root" -xzf "$work/build/ServeFlow_Tap.tgz"
plugin=$work/root/ServeFlow_Tap
sed -i "s|$PWD/||" "$plugin/lib/bif/serveflow.bif.zeek"
# Zeek finds by name what lies below a plugin's scripts: "@load serveflow".
install -D -m 644 --target-directory="$plugin/scripts/serveflow" zeek-scripts/serveflow/*.zeek
install -m 644 LICENSE "$plugin"
name=serveflow-zeek_$(cat VERSION)_zeek-${zeek}_$(uname -m).tar.gz
mkdir -p "$output"
tar -C "$work/root" --sort=name --format=gnu --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
	--mode=u=rwX,go=rX -cf - ServeFlow_Tap | gzip --no-name --best >"$work/archive"
mv "$work/archive" "$output/$name"
echo "$output/$name"
