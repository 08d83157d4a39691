#!/usr/bin/env bash
# The demo: starts the sidecar, plays captures of real devices through its
# socket, prints their labels beside the truth, and measures the bundle.
set -euo pipefail
cd "$(dirname "$0")/.."

data=${SERVEFLOW_DATA:-../shared/data}
manifest=$data/iot-device/manifest.csv
if [ ! -r "$manifest" ]; then
	echo "demo: no captures at $manifest: set SERVEFLOW_DATA to the folder of labelled captures" >&2
	exit 1
fi

work=$(mktemp -d)
sidecar=
stop() {
	[ -z "$sidecar" ] || kill "$sidecar" 2>/dev/null || true
	[ -z "$sidecar" ] || wait "$sidecar" || true
	rm -rf "$work"
}
trap stop EXIT

cat >"$work/serveflow.toml" <<-EOF
	bundle = "iot-device"
	[listen]
	socket = "$work/serveflow.sock"
	[labels]
	path = "$work/labels.jsonl"
	[telemetry]
	listen = ""
	[log]
	level = "warn"
EOF
bin/serveflow run -c "$work/serveflow.toml" &
sidecar=$!
for _ in $(seq 100); do
	[ -S "$work/serveflow.sock" ] && break
	kill -0 "$sidecar" || exit 1
	sleep 0.05
done

echo "== every 12th test capture, through the socket of a running sidecar"
bin/serveflow replay --socket "$work/serveflow.sock" \
	--manifest "$manifest" --label class_family --split test --every 12 >"$work/table" 2>"$work/summary" || {
	cat "$work/summary"
	exit 1
}
head -n 40 "$work/table"
rows=$(wc -l <"$work/table")
((rows <= 40)) || echo "… $((rows - 40)) flows more"
cat "$work/summary"
echo
echo "== the same, as the label log has it"
sleep 0.2 # it is written at most 100 ms late
tail -n 2 "$work/labels.jsonl"
echo
echo "== all test captures, with the cascade and with its last stage alone"
bin/serveflow eval --bundle models/iot-device --manifest "$manifest" --label class_family --split test
