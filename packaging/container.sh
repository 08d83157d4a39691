#!/usr/bin/env bash
# Makes the image localhost/serveflow of a package, with buildah, podman or docker.
#
#     packaging/container.sh build/packages/serveflow_*_amd64.deb
#
# BUILD is the command in front of "-t NAME -f FILE DIRECTORY", by default "buildah bud".
# Nothing is fetched: the image begins with nothing.
set -euo pipefail
deb=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir "$root/package" "$root/image"
dpkg-deb --extract "$deb" "$root/package"
install -D -m 755 "$root/package/usr/bin/serveflow" "$root/image/program/usr/bin/serveflow"
install -D -m 644 "$root/package/etc/serveflow/serveflow.toml" "$root/image/program/etc/serveflow/serveflow.toml"
install -D -m 644 "$root/package/usr/share/doc/serveflow/copyright" "$root/image/program/usr/share/doc/serveflow/copyright"
echo 'serveflow:x:65532:65532::/:/sbin/nologin' >"$root/image/program/etc/passwd"
echo 'serveflow:x:65532:' >"$root/image/program/etc/group"
# The directories of sockets and logs, and thereby their volumes, belong to the user.
mkdir -p "$root/image/state/run/serveflow" "$root/image/state/var/log/serveflow"

# The command has words.
# shellcheck disable=SC2086
${BUILD:-buildah bud} -t localhost/serveflow -f "$here/Containerfile" "$root/image"
