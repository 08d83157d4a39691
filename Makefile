# "make" alone lists the targets.

SHELL      := /bin/bash
# Duration of each fuzz target in "make fuzz".
FUZZTIME   ?= 30s
SCRIPTS     = .ci/run $(wildcard suricata-lua/plugin/*.sh packaging/*.sh packaging/scripts/* test/*.sh test/*/*.sh)
CXXFILES    = $(wildcard $(foreach dir,zeek-scripts/src zeek-scripts/testing/unit suricata-lua/plugin/src suricata-lua/plugin/test,$(dir)/*.cc $(dir)/*.h))
GOLANGCI    = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/serveflow
	go build -trimpath -o bin/serveflow ./cmd/serveflow

.PHONY: demo
demo: build ## label real captures and compare the labels with the truth
	test/demo.sh

.PHONY: test
test: ## run all tests, with the race detector
	go test -race ./...

.PHONY: faults
faults: ## run all fault tests of the sidecar at full length
	go test -count=1 -v -timeout 60m ./test/faults -full

# Duration of "make soak".
SOAK       ?= 30m

.PHONY: soak
soak: ## run the sidecar at half its capacity for SOAK, and watch its resources
	go test -count=1 -v -timeout 0 -run '^TestSoak$$' ./test/faults -soak $(SOAK)

.PHONY: check
check: build/lint-venv/complete ## lint Go, Python and, where their linters are installed, C++, Lua and shell
	go run $(GOLANGCI) run ./...
	build/lint-venv/bin/ruff check --quiet .
	build/lint-venv/bin/ruff format --quiet --check .
	build/lint-venv/bin/mypy --config-file models/train/pyproject.toml
	@if command -v clang-format >/dev/null; then clang-format --dry-run --Werror $(CXXFILES); fi
	@if command -v luacheck >/dev/null; then luacheck --quiet suricata-lua; fi
	@if command -v shellcheck >/dev/null; then shellcheck $(SCRIPTS); fi

build/lint-venv/complete: test/lint.txt
	python3 -m venv build/lint-venv
	build/lint-venv/bin/pip install --quiet --requirement test/lint.txt
	touch $@

.PHONY: short
short: ## run the quick tests
	go test -short ./...

# Go sometimes reports the end of FUZZTIME as a failure; a real finding has an input.
.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME, one per processor at a time
	@set -o pipefail; go test -list '^Fuzz' ./... | awk '/^Fuzz/ { targets = targets " " $$1 } \
		/^ok/ { n = split(targets, t); for (i = 1; i <= n; i++) print $$2, t[i]; targets = "" }' | \
	xargs --max-lines=1 --max-procs="$$(nproc)" bash -c 'out=$$(go test -run "^\$$" -fuzz "^$$1\$$" \
		-fuzztime $(FUZZTIME) -fuzzminimizetime 1s -parallel 1 "$$0" 2>&1) || \
		{ grep -q "^    context deadline exceeded$$" <<<"$$out" && ! grep -q "Failing input" <<<"$$out"; } || { echo "$$out"; exit 1; }; \
		grep "^fuzz: " <<<"$$out" | tail -1 | sed "s|^fuzz|$$0 $$1|"'

.PHONY: evaluation
evaluation: ## evaluate the shipped bundles on networks unseen in training (SERVEFLOW_DATA)
	go test -count=1 -v -run '^TestForeign$$' ./test -foreign

# Go's compiler optimizes by the profile default.pgo of the main package it builds.
.PHONY: pgo
pgo: ## renew cmd/serveflow/default.pgo from a sidecar under load, few and many flows at once (SERVEFLOW_DATA)
	@dir=$$(mktemp -d) && trap 'rm -r "$$dir"' EXIT && go build -trimpath -o "$$dir/serveflow" ./cmd/serveflow && \
	set -- bench --bundle models/iot-device --manifest $${SERVEFLOW_DATA:-../shared/data}/iot-device/manifest.csv --label class_family --split test \
		--mode cascade,slow --cores 1 --repeat 1 && \
	"$$dir/serveflow" "$$@" --profile "$$dir/few" >/dev/null && \
	"$$dir/serveflow" "$$@" --profile "$$dir/many" --rate 150000 --duration 5s >/dev/null && \
	go tool pprof -proto "$$dir"/few.* "$$dir"/many.* >cmd/serveflow/default.pgo

.PHONY: bench
bench: build ## measure capacity and latency of a sidecar; BENCH: further flags of serveflow bench, BENCH_BASE: a revision to compare with
	@mkdir -p build; $(if $(BENCH_BASE),test/bench/base.sh $(BENCH_BASE) build/bench-base &&) manifest=$${SERVEFLOW_DATA:-../shared/data}/iot-device/manifest.csv; \
	if [ -e "$$manifest" ]; then set -- --bundle models/iot-device --manifest "$$manifest" --label class_family --split test; \
	else set -- --bundle models/channel test/captures/*.pcap; fi; \
	bin/serveflow bench $(if $(BENCH_BASE),--base build/bench-base) --cores 1 --rate 50% --html build/bench.html $(BENCH) "$$@"
	@if [ -e build/remote-venv/complete ]; then $(MAKE) --no-print-directory bench-remote; \
	else echo 'SKIP bench-remote, a model here against one on an inference server: "make bench-remote" installs MLServer'; fi

.PHONY: bench-remote
bench-remote: build/remote-venv/complete ## compare a large model in the sidecar with the same on an inference server
	SERVEFLOW_MLSERVER=$(abspath build/remote-venv/bin/mlserver) go test -count=1 -v -timeout 30m -run '^TestBench$$' ./test/remote

.PHONY: bench-peers
bench-peers: build build/peers-venv/complete ## compare with other programs; PEERS: further flags of compare.py
	@data=$${SERVEFLOW_DATA:-../shared/data}/iot-device/manifest.csv; \
	if [ -e "$$data" ]; then set -- --bundle iot-device --manifest "$$data" --label class_family; \
	else set -- --bundle channel --manifest test/captures/lab/manifest.csv --label label; fi; \
	build/peers-venv/bin/python test/peers/compare.py "$$@" $(PEERS)

build/peers-venv/complete: test/peers/requirements.txt
	python3 -m venv build/peers-venv
	build/peers-venv/bin/pip install --quiet --requirement test/peers/requirements.txt
	touch $@

.PHONY: microbench
microbench: ## run the benchmarks of all packages
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: deps
deps: ## install libonnxruntime into build/onnxruntime
	packaging/onnxruntime.sh

.PHONY: packages test-packages
packages: ## make deb and rpm for the architectures ARCHS (amd64 arm64), into build/packages
	packaging/packages.sh
test-packages: packages ## make packages and install, upgrade and remove them on a bare Debian 12 (root)
	SERVEFLOW_PACKAGES=$(CURDIR)/build/packages go test -count=1 -v -timeout 20m ./test/packages

.PHONY: zeek-plugin
zeek-plugin: ## make an archive of the Zeek plugin for the Zeek on PATH, or the one in the prefix ZEEK, into build/packages
	packaging/zeek-plugin.sh "$(ZEEK)"

.PHONY: test-zeek-image
test-zeek-image: build ## make the image of packaging/zeek.Containerfile from a bare Debian 12 and use it (root, buildah)
	SERVEFLOW_IMAGE=1 go test -count=1 -v -timeout 1h -run '^TestZeekImage$$' ./test/zeek

.PHONY: test-integrations
test-integrations: build build/integrations-venv/complete ## hold schemas, mappings, rules and dashboard against what reads them
	build/integrations-venv/bin/python test/integrations/check.py bin/serveflow

build/integrations-venv/complete: test/integrations/requirements.txt
	python3 -m venv build/integrations-venv
	build/integrations-venv/bin/pip install --quiet --requirement test/integrations/requirements.txt
	touch $@

.PHONY: test-ingest
test-ingest: build build/integrations-venv/complete build/ingest/complete ## run the ingest pipeline with OpenSearch's processors (Maven, Java 17)
	build/integrations-venv/bin/python test/integrations/check.py bin/serveflow Pipelines

build/ingest/complete: test/integrations/ingest/pom.xml
	mvn --quiet --batch-mode --file $< org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
		-DoutputDirectory=$(abspath build/ingest/libs) -DincludeScope=runtime
	touch $@

.PHONY: container
container: ## make a container image of the package in build/packages, with buildah
	packaging/container.sh $(firstword $(wildcard build/packages/*_$(shell go env GOHOSTARCH).deb) build/packages)

.PHONY: engines
engines: ## install Suricata 7 and 8 for the end-to-end tests (Debian 12)
	test/engines.sh

.PHONY: test-lua
test-lua: ## lint the Lua scripts and test them outside Suricata
	luacheck --quiet suricata-lua
	luajit suricata-lua/test/run.lua
	lua5.4 suricata-lua/test/run.lua

.PHONY: suricata-plugin
suricata-plugin: ## build the Suricata plugin, for 7 and 8 or for the source tree SURICATA
	$(MAKE) --no-print-directory -C suricata-lua/plugin $(if $(SURICATA),SURICATA=$(abspath $(SURICATA)))

.PHONY: e2e-suricata7 e2e-suricata8
e2e-suricata7: build suricata-plugin ## run captures through Suricata 7 and the sidecar
	SERVEFLOW_E2E=1 go test -count=1 -v -run '^TestSuricata7' ./test/suricata
e2e-suricata8: build suricata-plugin ## run captures through Suricata 8 and the sidecar
	SERVEFLOW_E2E=1 go test -count=1 -v -run '^TestSuricata8' ./test/suricata

# Repetitions of each run in "make cost-suricata" and "make cost-zeek".
COSTRUNS   ?= 5

.PHONY: cost-suricata
cost-suricata: build suricata-plugin ## measure the CPU time that the taps add to Suricata (root)
	SERVEFLOW_COST=$(COSTRUNS) SERVEFLOW_LIVE=1 go test -count=1 -v -timeout 3h -run '^TestCost(Live)?$$' ./test/suricata

.PHONY: live-suricata7 live-suricata8
live-suricata7: build suricata-plugin ## test faults of the sidecar beside a live Suricata 7 (root)
	SERVEFLOW_LIVE=1 go test -count=1 -v -timeout 30m -run '^TestLive7' ./test/suricata
live-suricata8: build suricata-plugin ## test faults of the sidecar beside a live Suricata 8 (root)
	SERVEFLOW_LIVE=1 go test -count=1 -v -timeout 30m -run '^TestLive8' ./test/suricata

.PHONY: flows
flows: ## compare replay with Suricata 7 and Zeek, flow by flow, on all captures (SERVEFLOW_DATA)
	SERVEFLOW_FLOWS=1 go test -count=1 -v -timeout 5h ./test/flows

.PHONY: e2e-zeek
e2e-zeek: build ## run captures through Zeek 8 and the sidecar
	@if ! command -v zeek >/dev/null; then echo 'SKIP e2e-zeek: no zeek on PATH'; else \
		set -e; $(MAKE) --no-print-directory -C zeek-scripts plugin test; \
		SERVEFLOW_E2E=1 go test -count=1 -v -timeout 30m -run '^TestZeek' ./test/zeek; \
	fi

.PHONY: cost-zeek live-zeek
cost-zeek: build ## measure the CPU time that the package adds to Zeek (root)
	@if ! command -v zeek >/dev/null; then echo 'SKIP cost-zeek: no zeek on PATH'; else \
		set -e; $(MAKE) --no-print-directory -C zeek-scripts plugin; \
		SERVEFLOW_COST=$(COSTRUNS) SERVEFLOW_LIVE=1 go test -count=1 -v -timeout 1h -run '^TestCost(Live)?$$' ./test/zeek; \
	fi
live-zeek: build ## test faults of the sidecar beside a live Zeek, and a cluster (root)
	@if ! command -v zeek >/dev/null; then echo 'SKIP live-zeek: no zeek on PATH'; else \
		set -e; $(MAKE) --no-print-directory -C zeek-scripts plugin; \
		SERVEFLOW_LIVE=1 go test -count=1 -v -timeout 30m -run '^Test(Live|Cluster)$$' ./test/zeek; \
	fi

.PHONY: kafka kafka-e2e
kafka: build/kafka/complete ## run an Apache Kafka broker on 127.0.0.1:9092 until it is interrupted
	test/kafka/broker/run.sh build/kafka/run 9092
kafka-e2e: build build/kafka/complete build/kafka-venv/complete ## do harm to a broker and to sidecars that stream to it (root)
	SERVEFLOW_KAFKA=1 SERVEFLOW_PYTHON=$(abspath build/kafka-venv/bin/python) \
		go test -count=1 -v -timeout 60m ./test/kafka
	SERVEFLOW_KAFKA=1 go test -count=1 -v -timeout 30m -run '^TestKafka' ./test/suricata
	@if ! command -v zeek >/dev/null; then echo 'SKIP a cluster of Zeek into Kafka: no zeek on PATH'; else \
		set -e; $(MAKE) --no-print-directory -C zeek-scripts plugin; \
		SERVEFLOW_KAFKA=1 SERVEFLOW_LIVE=1 go test -count=1 -v -timeout 30m -run '^TestCluster$$' ./test/zeek; \
	fi

build/kafka/complete: test/kafka/broker/pom.xml
	mvn --quiet --batch-mode --file $< org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
		-DoutputDirectory=$(abspath build/kafka/libs) -DincludeScope=runtime
	touch $@

build/kafka-venv/complete: test/kafka/requirements.txt
	python3 -m venv build/kafka-venv
	build/kafka-venv/bin/pip install --quiet --requirement test/kafka/requirements.txt
	touch $@

.PHONY: remote-e2e
remote-e2e: build/remote-venv/complete ## ask a real inference server, and do harm to it
	SERVEFLOW_MLSERVER=$(abspath build/remote-venv/bin/mlserver) go test -count=1 -v -timeout 30m ./test/remote

build/remote-venv/complete: test/remote/requirements.txt
	python3 -m venv build/remote-venv
	build/remote-venv/bin/pip install --quiet --requirement test/remote/requirements.txt
	touch $@

.PHONY: lab
lab: ## record ten sessions of each label of models/lab into build/lab (root)
	go run ./models/lab -output build/lab -sessions 10 -limit 8m

.PHONY: train-deps
train-deps: .venv/complete ## install what models/train needs into .venv

.venv/complete: models/train/requirements.txt
	python3 -m venv .venv
	.venv/bin/pip install --quiet --require-hashes --requirement models/train/requirements.txt
	touch $@

.PHONY: clean
clean: ## remove everything that make built or installed
	rm -rf bin build .venv suricata-lua/plugin/build
