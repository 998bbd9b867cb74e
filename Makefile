# kazoohook: the commands of development. `make` alone lists them.

GO      ?= go
BUILD   := $(CURDIR)/build
TOOLS   := $(BUILD)/tools
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)

# Static, without paths of this machine in it, and the same bytes every time.
BUILD_FLAGS := -trimpath -buildvcs=false -ldflags '-s -w -buildid= -X main.stamped=$(VERSION)'

# How long each fuzz target runs.
FUZZTIME ?= 10s

.DEFAULT_GOAL := help
.PHONY: help test cover vet lint staticcheck vulnerabilities licences tidy generate build demo bench benchmarks chaos soak fuzz sbom clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: ## run all tests, with the race detector
	@mkdir -p $(BUILD)
	$(GO) test -race -coverprofile=$(BUILD)/cover.out -coverpkg=./... ./...

# The least share of statements that the tests run. Programs that measure and
# prove are not counted: they are run for what they find. The journal reaches 96;
# what its concurrent parts meet differs by a point from run to run.
COVERAGE := -without bench -floor total=85 -floor registration=95 -floor internal/journal=94

cover: ## check how much of the statements the last make test ran
	$(GO) run -C tools ./coverage $(COVERAGE) $(BUILD)/cover.out

vet: ## run go vet
	$(GO) vet ./...

lint: $(TOOLS)/installed ## run the linters of .golangci.yml
	$(TOOLS)/golangci-lint run ./...

staticcheck: $(TOOLS)/installed ## run staticcheck by itself
	$(TOOLS)/staticcheck ./...

vulnerabilities: $(TOOLS)/installed ## look for known vulnerabilities in what is called
	$(TOOLS)/govulncheck ./...

licences: ## list the licences of what is built in; fails unless all are permissive
	$(GO) run -C tools ./licences

tidy: ## check that go.mod and go.sum hold what is needed and no more
	$(GO) mod tidy -diff
	$(GO) -C tools mod tidy -diff

generate: ## write the generated parts of code and documentation anew
	$(GO) generate ./...

build: ## build a static binary, build/kazoohook
	CGO_ENABLED=0 $(GO) build $(BUILD_FLAGS) -o $(BUILD)/kazoohook ./cmd/kazoohook

demo: ## run a receiver and a fake Kazoo together
	$(GO) run ./cmd/kazoohook demo

bench: ## measure speed, start, memory and queries
	$(GO) run ./bench

benchmarks: ## run the benchmarks of the packages
	$(GO) test -run '^$$' -bench . -benchmem ./...

soak: ## prove that nothing grows and nothing is lost in an hour of traffic
	$(GO) run ./bench/soak

chaos: ## prove that nothing is missed, while everything breaks
	$(GO) run ./bench/chaos

fuzz: ## run each fuzz target for FUZZTIME (10s)
	@set -e; mkdir -p $(BUILD)/fuzz; \
	for dir in $$(grep -rl --include='*_test.go' --exclude-dir=build '^func Fuzz' . | xargs -n 1 dirname | sort -u); do \
		program=$(BUILD)/fuzz/$$(echo $${dir#./} | tr / _).test; \
		$(GO) test -c -fuzz . -o $$program $$dir; \
		for target in $$(cat $$dir/*_test.go | sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p'); do \
			echo "== $$target in $$dir"; \
			(cd $$dir && $$program -test.run '^$$' -test.fuzz "^$$target\$$" -test.fuzztime $(FUZZTIME) \
				-test.fuzzminimizetime 1x -test.fuzzcachedir $(BUILD)/fuzz/corpus/$$target); \
		done; \
	done

sbom: $(TOOLS)/installed build ## write build/sbom.json (CycloneDX) of the program, and check it
	CGO_ENABLED=0 $(TOOLS)/cyclonedx-gomod app -json -licenses -main ./cmd/kazoohook -output $(BUILD)/sbom.json .
	$(GO) run -C tools ./bom $(BUILD)/sbom.json $(BUILD)/kazoohook

clean: ## remove what was built
	rm -rf $(BUILD)

# The tools have a module of their own, so that go.mod holds only what the program
# needs.
$(TOOLS)/installed: tools/go.mod tools/go.sum
	cd tools && GOBIN=$(TOOLS) $(GO) install tool
	@touch $@
