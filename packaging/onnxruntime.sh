#!/bin/sh
# Brings the ONNX Runtime library that bundles with a neural network need.
#
#     packaging/onnxruntime.sh [directory]
#
# puts libonnxruntime.so into build/onnxruntime of this repository, or into the
# directory given. The library is taken out of the npm package
# onnxruntime-node, which carries builds for Linux on x64 and arm64, and is
# checked against the hashes below. Nothing of the package is run. Where the
# right library is there already, nothing is done.
set -eu

version=1.30.0
case $(uname -sm) in
"Linux x86_64")
	arch=x64
	sha256=ffb75a925ba05e47b235bb66e3e3911714a80b328a9c9425539feb204aa32a23
	;;
"Linux aarch64")
	arch=arm64
	sha256=1f549d46250b005580b597f4164984aaf75b3bcb9f3aeb07c7f8a8fe60b23c76
	;;
*)
	echo "onnxruntime: no library for $(uname -sm), only for Linux on x86_64 and aarch64" >&2
	exit 1
	;;
esac

target=${1:-$(dirname "$0")/../build/onnxruntime}
library=$target/libonnxruntime.so

check() {
	echo "$sha256  $1" | sha256sum --check --status -
}

if [ -f "$library" ] && check "$library"; then
	exit 0
fi
if ! command -v npm >/dev/null; then
	echo "onnxruntime: npm is needed to fetch the library: install Node.js, or put" >&2
	echo "libonnxruntime.so of ONNX Runtime $version into $target by hand" >&2
	exit 1
fi

mkdir -p "$target"
# Beside the target, so that the library can be moved into place at once.
work=$(mktemp -d "$target/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM

echo "fetching ONNX Runtime $version ($arch, about 110 MB)" >&2
npm pack --silent --pack-destination "$work" "onnxruntime-node@$version" >/dev/null
member=package/bin/napi-v6/linux/$arch/libonnxruntime.so.1
tar -xzf "$work/onnxruntime-node-$version.tgz" -C "$work" "$member"
if ! check "$work/$member"; then
	echo "onnxruntime: the library in onnxruntime-node@$version has another SHA-256 than $sha256" >&2
	exit 1
fi
chmod 644 "$work/$member"
touch "$work/$member" # npm packs with a date of 1985
mv -f "$work/$member" "$library"
