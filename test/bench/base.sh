#!/bin/sh
# base.sh REVISION PROGRAM: builds serveflow as it was at a revision of this repository.
set -eu
tree=$(mktemp -d)
trap 'git worktree remove --force "$tree"' EXIT
git worktree add --quiet --detach "$tree" "$1"
program=$PWD/$2
cd "$tree"
go build -o "$program" ./cmd/serveflow
cd "$OLDPWD"
