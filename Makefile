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

.DEFAULT_GOAL := help
.PHONY: help build test race fuzz lint chaos bugs bench docs clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

build: ## build rift, node and clusterctl into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN)/ ./cmd/...

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

bench: build ## measure the driver, the checkers, and the reference node
	$(GO) test -run '^$$' -bench . -benchmem ./harness ./harness/... ./checker/...
	$(RIFT) bench

docs: build ## write the generated parts of docs/ anew
	$(RIFT) list > docs/list.txt

clean: ## remove what was built and the runs that were stored
	rm -rf $(BIN) store
