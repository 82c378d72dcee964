# Rift: `make` lists the targets.

SHELL        := /bin/bash
GO           ?= go
BIN          := bin
RIFT         := $(BIN)/rift
CHAOS_TIME   ?= 60s
CHAOS_SEED   ?=
CHAOS_NEMESIS?= kill,partition,pause,clock
BUG_SEEDS    ?= 3
BUG_TIME     ?= 45s
FUZZ_TIME    ?= 20s
BENCH_TIME   ?= 3x

.DEFAULT_GOAL := help
.PHONY: help build test race fuzz lint chaos bugs bench docs clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

build: ## build rift, node (also for the simulation) and clusterctl into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN)/ ./cmd/...
	GOOS=wasip1 GOARCH=wasm $(GO) build -trimpath -o $(BIN)/node.wasm ./cmd/node

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

bench: build ## measure the checkers, also against porcupine, the driver, and the reference node
	@set -o pipefail; { $(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCH_TIME) ./checker/... ./harness/history/... && \
	  $(GO) test -run '^$$' -bench . -benchmem $$($(GO) list ./harness/... | grep -v /history); } 2>&1 | awk "$$BENCH_TABLE"
	$(RIFT) bench

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
