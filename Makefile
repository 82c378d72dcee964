# Rift: `make` lists the targets.

SHELL        := /bin/bash
GO           ?= go
BIN          := bin
RIFT         := $(BIN)/rift
SYSTEMS      := etcd-server redis-server
SYSTEMS_TIME ?= 60s
CHAOS_TIME   ?= 60s
CHAOS_SEED   ?=
CHAOS_NEMESIS?= kill,partition,pause,clock
BUG_SEEDS    ?= 3
KILLS        ?= 100
KILLS_SEED   ?= 1
FAULT_TRIALS ?= 20
BUG_TIME     ?= 45s
FUZZ_TIME    ?= 20s
BENCH_TIME   ?= 3x

.DEFAULT_GOAL := help
.PHONY: help build systems test race fuzz lint chaos bugs etcd redis bench kills doctor faults docs clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

build: ## build rift, node (also for the simulation) and clusterctl into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN)/ ./cmd/...
	@overlay=$$($(RIFT) overlay $$($(GO) env GOROOT) $(BIN)/overlay) && flag=-overlay=$$overlay || \
	  echo "make: node.wasm is built without seeded scheduling: its goroutines run in the order fifo only" >&2; \
	  set -x; GOOS=wasip1 GOARCH=wasm $(GO) build -trimpath $$flag -o $(BIN)/node.wasm ./cmd/node

systems: $(SYSTEMS:%-server=$(BIN)/systems/%) ## get etcd and redis from Debian, unpacked into bin/systems/ and not installed

# The package of a server, and those that it needs and this machine lacks. Nothing is installed, so that no service is started.
$(BIN)/systems/%:
	@rm -rf $@.part && mkdir -p $@.part/deb
	@cd $@.part/deb && packages=$$(apt-get -s -qq --no-install-recommends install $*-server | awk '/^Inst/ { print $$2 }') && \
	  apt-get -qq -o APT::Sandbox::User=root download $*-server $$packages
	@for deb in $@.part/deb/*.deb; do dpkg-deb -x $$deb $@.part || exit 1; done
	@rm -r $@.part/deb && mv $@.part $@ && echo $@

test: ## run the tests with the race detector, real containers included where Docker answers
	$(GO) test -race -timeout 20m ./...

race: test ## the same as test: the race detector is always on

fuzz: ## fuzz everything that parses, FUZZ_TIME each (20s)
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZ_TIME) $$pkg; done; done

lint: ## vet, staticcheck and gofumpt
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	@unformatted=$$($(GO) tool gofumpt -l $$(git ls-files -co --exclude-standard '*.go')); \
	  if [ -n "$$unformatted" ]; then echo "not gofumpt'ed:"; echo "$$unformatted"; exit 1; fi

chaos: build ## test the reference node for a minute under kills, partitions, pauses and skewed clocks
	$(RIFT) run --name chaos --workload register --nemesis $(CHAOS_NEMESIS) --time $(CHAOS_TIME) $(if $(CHAOS_SEED),--seed $(CHAOS_SEED))

bugs: build ## show that every planted bug is found, and the healthy node is clean
	$(RIFT) bugs --seeds $(BUG_SEEDS) --time $(BUG_TIME)

etcd: build systems ## show that etcd keeps what it acknowledged through kills and power failures
	$(RIFT) run --name etcd --system etcd --nodes 3 --workload durability --nemesis kill,power --time $(SYSTEMS_TIME) --seed 1

# The exit code of a violation is 1.
redis: build systems ## show that redis as it comes loses acknowledged writes in power failures, and told to sync each, none
	$(RIFT) run --name redis --system redis --nodes 1 --workload set --rate 1000 --plan docs/examples/power.plan --time $(SYSTEMS_TIME) --seed 1; [ $$? -eq 1 ]
	$(RIFT) run --name redis-always --system redis --nodes 1 --workload set --rate 1000 --plan docs/examples/power.plan --time $(SYSTEMS_TIME) --seed 1 --set appendfsync=always

bench: build ## measure the checkers, also against porcupine, the driver, and the reference node
	@set -o pipefail; { $(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCH_TIME) ./checker/... ./harness/history/... && \
	  $(GO) test -run '^$$' -bench . -benchmem $$($(GO) list ./harness/... | grep -v /history); } 2>&1 | awk "$$BENCH_TABLE"
	$(RIFT) bench

kills: ## kill rift KILLS times at random moments (100), and show that the sweep leaves the machine as it was
	RIFT_KILLS=$(KILLS) RIFT_KILLS_SEED=$(KILLS_SEED) $(GO) test -count=1 -timeout 60m -v -run 'TestAKilledRun' ./cmd/rift

doctor: build ## try every fault on this machine, and say what is missing
	$(RIFT) doctor

faults: build ## measure how long faults take to be put in and healed, FAULT_TRIALS times each (20), for docs/faults.md
	$(RIFT) bench --cluster local --faults $(FAULT_TRIALS) --write docs/measured/faults.json
	$(RIFT) docs docs

# A benchmark a line: its name, the time and memory it takes, and what it reports itself, such as times-faster than porcupine.
define BENCH_TABLE
function time(ns) { return ns < 1e6 ? sprintf("%.1f us", ns/1e3) : ns < 1e9 ? sprintf("%.1f ms", ns/1e6) : sprintf("%.2f s", ns/1e9) }
/^pkg:/ { pkg = "\n" $$2 "\n" }
/^Benchmark/ {
	sub(/^Benchmark/, "", $$1); sub(/-[0-9]+$$/, "", $$1); took = bytes = more = ""
	for (i = 3; i < NF; i += 2) {
		if ($$(i+1) == "ns/op") took = time($$i)
		else if ($$(i+1) == "B/op") bytes = sprintf("%.1f MB", $$i/1e6)
		else if ($$(i+1) != "allocs/op") more = more "  " $$i " " $$(i+1)
	}
	printf "%s  %-52s %10s %10s %s\n", pkg, $$1, took, bytes, more; pkg = ""; fflush()
}
/no answer after/ { print "      " substr($$0, index($$0, "porcupine had")) }
/^(FAIL|panic:|--- FAIL)/ { print }
endef
export BENCH_TABLE

docs: build ## write the generated parts of docs/ anew
	$(RIFT) docs docs

clean: ## remove what was built and the runs that were stored
	rm -rf $(BIN) store
