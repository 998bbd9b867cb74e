# kazoohook: commands for development. `make` alone lists them.

GO      ?= go
BUILD   := $(CURDIR)/build
TOOLS   := $(BUILD)/tools
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)

# Static, without paths of this machine in it, and the same bytes every time.
BUILD_FLAGS := -trimpath -buildvcs=false -ldflags '-s -w -buildid= -X main.stamped=$(VERSION)'

# Packages: directory of their parts, architecture, and the time of their files.
PACKAGE := $(BUILD)/package
ARCH    ?= $(shell $(GO) env GOARCH)
EPOCH   ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

# How long each fuzz target runs.
FUZZTIME ?= 10s

.DEFAULT_GOAL := help
.PHONY: help test race real cover vet lint staticcheck deadcode vulnerabilities licences tidy generate build demo bench benchmarks chaos soak proxies chart fuzz sbom documents deb release clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Many tests wait for a program or a clock, so more tests run at once than there are
# processors.
test: ## run the tests; they need nothing but Go, and two minutes
	$(GO) test -parallel 4 $(TESTFLAGS) ./...

# The race detector doesn't watch SQLite itself: it is C turned into Go, which makes
# the journal's tests four times as slow. It watches the driver and everything else.
RACE := -race -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc=-race=false

race: ## run them with the race detector
	$(GO) test $(RACE) -parallel 4 -timeout 20m $(TESTFLAGS) ./...

# Tests behind the tag real need other programs (chromium, promtool) or take long.
# They are selected by name, so that other tests do not run a second time.
real: ## run the tests that need other programs or take long
	@set -e; files=$$(grep -rl --include='*_test.go' --exclude-dir=build '^//go:build.*\breal\b' .); \
	tests=$$(sed -n 's/^func \(Test[A-Za-z0-9_]*\)(t .*/\1/p' $$files | paste -sd '|'); \
	$(GO) test -tags real -p 2 -parallel 6 -timeout 15m $(TESTFLAGS) -run "^($$tests)$$" $$(dirname $$files | sort -u)

# The lowest accepted percentages of statements that the tests run. bench is not
# counted: its programs are run for their results. The tests of the archive don't
# cover failures of single file operations. The figure of the journal's concurrent
# parts varies by a point from run to run.
COVERAGE := -without bench -floor total=85 -floor registration=95 -floor internal/journal=94 -floor internal/journal/archive=90 \
	-floor internal/journal/database=90 -floor internal/journal/integrity=90 -floor internal/journal/search=90 -floor internal/journal/tables=90

cover: TESTFLAGS += -coverprofile=$(BUILD)/cover.out -coverpkg=./...
cover: $(BUILD) test ## run the tests, and check how many of the statements they ran
	$(GO) run -C tools ./coverage $(COVERAGE) $(BUILD)/cover.out

vet: ## run go vet
	$(GO) vet -tags real ./...

lint: $(TOOLS)/installed ## run the linters of .golangci.yml
	$(TOOLS)/golangci-lint run ./...

staticcheck: $(TOOLS)/installed ## run staticcheck by itself
	$(TOOLS)/staticcheck -tags real ./...

vulnerabilities: $(TOOLS)/installed ## look for known vulnerabilities in what is called
	$(TOOLS)/govulncheck ./...

# A function that no program uses is deleted, or listed in .ci/deadcode.allow with the
# reason.
deadcode: $(TOOLS)/installed ## look for functions that no program uses
	@$(TOOLS)/deadcode -f '{{range .Funcs}}{{printf "%s: %s.%s\n" .Position $$.Path .Name}}{{end}}' ./... >$(BUILD)/deadcode.txt
	@sed '/^#/d; /^$$/d' .ci/deadcode.allow >$(BUILD)/deadcode.allow
	@! grep -vE -f $(BUILD)/deadcode.allow $(BUILD)/deadcode.txt

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

chaos: ## prove that nothing is missed while everything breaks
	$(GO) run ./bench/chaos
	$(GO) run ./bench/chaos -nodes 3

proxies: ## prove deploy/proxies with nginx, Caddy, HAProxy and Apache
	$(GO) test -tags real -count=1 -run '^Test(Cluster)?Proxies$$' ./cmd/kazoohook

# Helm renders the chart, and every object is decoded as Kubernetes' API would do it.
chart: $(TOOLS)/installed ## prove the Helm chart in deploy/helm
	HELM=$(TOOLS)/helm $(GO) test -C tools -count=1 ./chart

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

# The other files in packages, most of them written by the program itself.
documents: build
	@mkdir -p $(PACKAGE)/systemd
	@for shell in bash zsh fish; do $(BUILD)/kazoohook completion $$shell >$(PACKAGE)/kazoohook.$$shell; done
	@$(BUILD)/kazoohook completion man | gzip -n9 >$(PACKAGE)/kazoohook.1.gz
	@for unit in deploy/systemd/*.service; do sed 's,/usr/local/bin/,/usr/bin/,' $$unit >$(PACKAGE)/systemd/$${unit##*/}; done

# A version of a Debian package begins with a digit and has no dash.
deb: documents $(TOOLS)/installed ## make a Debian package for ARCH (amd64, arm64) in build/
	CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) $(GO) build $(BUILD_FLAGS) -o $(PACKAGE)/kazoohook ./cmd/kazoohook
	ARCH=$(ARCH) VERSION="$(if $(filter v%,$(VERSION)),$(patsubst v%,%,$(subst -,+,$(VERSION))),0~$(subst -,+,$(VERSION)))" \
		SOURCE_DATE_EPOCH=$(EPOCH) $(TOOLS)/nfpm package --config deploy/deb/nfpm.yaml --packager deb --target $(BUILD)/kazoohook_$(ARCH).deb

PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64

release: documents sbom ## make archives, Debian packages, bills of materials and checksums in build/release
	@rm -rf $(BUILD)/release && mkdir -p $(BUILD)/release
	@$(GO) run -C tools ./licences -texts >$(PACKAGE)/LICENCES.txt
	@set -e; for platform in $(PLATFORMS); do \
		os=$${platform%/*}; arch=$${platform#*/}; name=kazoohook_$(VERSION)_$${os}_$$arch; dir=$(BUILD)/release/$$name; mkdir $$dir; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build $(BUILD_FLAGS) -o $$dir/kazoohook ./cmd/kazoohook; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(TOOLS)/cyclonedx-gomod app -json -licenses -main ./cmd/kazoohook -output $$dir.sbom.json .; \
		cp -R LICENSE README.md CHANGELOG.md docs deploy $(PACKAGE)/LICENCES.txt $(PACKAGE)/kazoohook.bash $(PACKAGE)/kazoohook.zsh $(PACKAGE)/kazoohook.fish $(PACKAGE)/kazoohook.1.gz $$dir; \
		tar --sort=name --mtime=@$(EPOCH) --owner=0 --group=0 --numeric-owner -C $(BUILD)/release -cf - $$name | gzip -n9 >$$dir.tar.gz; rm -r $$dir; \
		if [ $$os = linux ]; then $(MAKE) --no-print-directory deb ARCH=$$arch; mv $(BUILD)/kazoohook_$$arch.deb $$dir.deb; fi; \
	done; cd $(BUILD)/release; sha256sum * >SHA256SUMS; ls -l

$(BUILD):
	@mkdir -p $@

clean: ## remove what was built
	rm -rf $(BUILD)

# The tools have a module of their own, so that go.mod has only what the program
# needs.
$(TOOLS)/installed: tools/go.mod tools/go.sum
	cd tools && GOBIN=$(TOOLS) $(GO) install tool
	@touch $@
