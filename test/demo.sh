#!/usr/bin/env bash
# The demo: starts the sidecar, plays captures of models/lab through its socket,
# prints their labels beside the truth, and measures the bundle.
set -euo pipefail
cd "$(dirname "$0")/.."

manifest=test/captures/lab/manifest.csv

work=$(mktemp -d)
sidecar=
stop() {
	[ -z "$sidecar" ] || kill "$sidecar" 2>/dev/null || true
	[ -z "$sidecar" ] || wait "$sidecar" || true
	rm -rf "$work"
}
trap stop EXIT

cat >"$work/serveflow.toml" <<-END
	bundle = "channel"
	[listen]
	socket = "$work/serveflow.sock"
	[labels]
	path = "$work/labels.jsonl"
	[telemetry]
	listen = ""
	[log]
	level = "warn"
END
bin/serveflow run -c "$work/serveflow.toml" &
sidecar=$!
for _ in $(seq 100); do
	[ -S "$work/serveflow.sock" ] && break
	kill -0 "$sidecar" || exit 1
	sleep 0.05
done

echo "== captures, through the socket of a running sidecar"
bin/serveflow replay --socket "$work/serveflow.sock" \
	--manifest "$manifest" --label label >"$work/table" 2>"$work/summary" || {
	cat "$work/summary"
	exit 1
}
awk 'NR == 1 || NR % 9 == 2' "$work/table"
echo "… and eight times as many flows more"
cat "$work/summary"
echo
echo "== the same, as the label log has it"
sleep 0.2 # it is written at most 100 ms late
tail -n 2 "$work/labels.jsonl"
echo
echo "== with the cascade and with its last stage alone"
bin/serveflow eval --bundle models/channel --manifest "$manifest" --label label
