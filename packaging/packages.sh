#!/usr/bin/env bash
# Makes the packages of Debian and of RPM systems.
#
#     packaging/packages.sh [directory]
#
# puts them into build/packages, or the directory given. ARCHS are the architectures, by
# Go's names, amd64 and arm64 by default; SOURCE_DATE_EPOCH dates all that is in them, by
# default as the commit. The same sources give the same packages, byte for byte.
#
# The program is built without cgo, so that one file runs on any Linux and is built for
# either architecture on the other; it evaluates trees, and refuses networks. Suricata's
# plugin is C++ and goes into the packages of this machine's own architecture.
set -euo pipefail
output=$(realpath -m "${1:-build/packages}")
cd "$(dirname "$0")/.."

readonly nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
PACKAGE_VERSION=$(cat VERSION)
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
export PACKAGE_VERSION SOURCE_DATE_EPOCH
own=$(go env GOHOSTARCH)
umask 022
mkdir -p "$output"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() { # architecture: the program
	CGO_ENABLED=0 GOOS=linux GOARCH=$1 go build -trimpath -buildvcs=false \
		-ldflags "-s -w -buildid=" -o "$2" ./cmd/serveflow
}

# The licence of the program, and those of all that is linked into it.
copyright() {
	echo "ServeFlow is under the Apache License 2.0:"
	echo
	cat LICENSE
	# Apart from the architecture, the same modules are linked.
	CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/serveflow |
		LC_ALL=C sort -u | while read -r path version dir; do
		printf '\n\n%s\n%s %s is linked into the program:\n\n' "$(printf '=%.0s' {1..78})" "$path" "$version"
		found=$(find "$dir" -maxdepth 1 -iname 'licen[cs]e*' -o -maxdepth 1 -iname 'copying*' -o -maxdepth 1 -iname 'notice*' | LC_ALL=C sort)
		if [ -z "$found" ]; then
			echo "packages: $path has no licence in $dir" >&2
			exit 1
		fi
		while read -r file; do cat "$file"; done <<<"$found"
	done
	printf '\n\n%s\nGo is linked into the program:\n\n' "$(printf '=%.0s' {1..78})"
	cat "$(go env GOROOT)/LICENSE"
}

# Where packages put the pages that files name.
pages='s|\bdocs/[a-z0-9/-]*\.md\b|/usr/share/doc/serveflow/&|g'

put() { # file, where it goes
	install -D -m 644 "$1" "$work/root/$2"
}

GOBIN=$work go install "$nfpm"
build "$own" "$work/own"
make --no-print-directory -C suricata-lua/plugin BUILD="$work/plugin" \
	CXXFLAGS="-O2 -flto=auto -ffile-prefix-map=$work=." >/dev/null
copyright >"$work/copyright"

for arch in ${ARCHS:-amd64 arm64}; do
	rm -rf "$work/root"
	mkdir -p "$work/root"
	if [ "$arch" = "$own" ]; then
		install -D -m 755 "$work/own" "$work/root/usr/bin/serveflow"
		strip -o "$work/serveflow.so" "$work/plugin/serveflow.so"
		put "$work/serveflow.so" usr/lib/serveflow/suricata/serveflow.so
	else
		build "$arch" "$work/other"
		install -D -m 755 "$work/other" "$work/root/usr/bin/serveflow"
	fi
	put packaging/serveflow.toml etc/serveflow/serveflow.toml
	sed --in-place "$pages" "$work/root/etc/serveflow/serveflow.toml"
	sed 's|/usr/local/bin/|/usr/bin/|; /^# It wants/,/^# Whoever/d; /^# the socket/d' packaging/serveflow.service >"$work/unit"
	put "$work/unit" usr/lib/systemd/system/serveflow.service
	put packaging/serveflow.sysusers usr/lib/sysusers.d/serveflow.conf
	put packaging/serveflow.tmpfiles usr/lib/tmpfiles.d/serveflow.conf
	put packaging/alerts.yml usr/share/serveflow/prometheus/alerts.yml
	cp --recursive packaging/integrations/* "$work/root/usr/share/serveflow/"

	for file in serveflow.lua serveflow-rule.lua serveflow.rules eve-schema.json suricata7.yaml suricata8.yaml plugin/serveflow.yaml; do
		# What the files say of each other's places.
		sed 's|/etc/suricata/serveflow|/usr/share/serveflow/suricata|; s|/usr/lib/suricata/serveflow.so|/usr/lib/serveflow/suricata/serveflow.so|' \
			"suricata-lua/$file" >"$work/file"
		put "$work/file" "usr/share/serveflow/suricata/$(basename "${file/plugin\/serveflow.yaml/plugin.yaml}")"
	done
	for file in suricata-lua/serveflow/*.lua; do
		put "$file" "usr/share/serveflow/suricata/serveflow/$(basename "$file")"
	done
	find "$work/root/usr/share/serveflow" -type f -exec sed --in-place "$pages" {} +

	"$work/own" manual | gzip --no-name --best >"$work/page"
	put "$work/page" usr/share/man/man1/serveflow.1.gz
	"$work/own" completion bash >"$work/bash" && put "$work/bash" usr/share/bash-completion/completions/serveflow
	"$work/own" completion zsh >"$work/zsh" && put "$work/zsh" _serveflow
	"$work/own" completion fish >"$work/fish" && put "$work/fish" usr/share/fish/vendor_completions.d/serveflow.fish

	gzip --no-name --best --stdout CHANGELOG.md >"$work/changelog"
	put "$work/changelog" usr/share/doc/serveflow/changelog.gz
	put "$work/copyright" usr/share/doc/serveflow/copyright
	for page in README.md SECURITY.md docs/*.md docs/*/*.md docs/images/* zeek-scripts/README.md suricata-lua/README.md models/*/DATASHEET.md; do
		put "$page" "usr/share/doc/serveflow/$page"
	done

	find "$work/root" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
	for packager in deb rpm; do
		GOARCH=$arch ROOT=$work/root "$work/nfpm" package --config packaging/nfpm.yaml --packager "$packager" --target "$output" >"$work/said" || { cat "$work/said" >&2; exit 1; }
	done
done
ls -l "$output"
