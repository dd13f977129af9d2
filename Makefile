# graphattend: `make` lists what there is. Every target sets up what it needs; the second time it only checks.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PYTHON_ENV := .venv/bin/python

.PHONY: help env npm run test test-all serve demo bench docs wheel wheels dist lint format dist-path js-kernels js-pack numpy-simd clean test-cpus test-versions soak mutate

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

env:  ## Set up .venv with the pinned development tools
	@python=$$(sh tools/find_python.sh); "$$python" tools/bootstrap.py && $(PYTHON_ENV) tools/build_wheel.py kernels

npm: env  ## Install the npm packages of js/ and web/ from their lock files
	@$(PYTHON_ENV) tools/npm_install.py js web

run: env npm  ## The main job: who attends to whom in Les Misérables, and which mechanism predicts its links, in Node.js
	@dist=$$($(PYTHON_ENV) tools/pyodide_dist.py); graph=$$($(PYTHON_ENV) tools/export_les_miserables.py); \
	$(PYTHON_ENV) tools/build_js.py && \
	node --no-warnings --experimental-wasm-relaxed-simd examples/les_miserables.mjs "$$dist" "$$graph"

test: env npm  ## Every test suite: style, native, Pyodide in Node.js, Chromium and Firefox, JavaScript, demo
	@$(PYTHON_ENV) tools/test_suites.py

test-all: env npm  ## The same with WebKit, and every version of TypeScript, bundler, framework and runtime; the result is recorded (an hour)
	@GRAPHATTEND_ALL=1 $(PYTHON_ENV) tools/test_suites.py

test-cpus: env  ## The native suite as other processors would run it (NumPy without AVX, other BLAS kernels; half an hour)
	@$(PYTHON_ENV) tools/test_cpus.py $(CPUS)

test-versions: env npm  ## The native suite on the Pythons of this machine with NumPy 1.26 and 2, the npm package on Node.js 20, 22 and 24 (an hour)
	@status=0; $(PYTHON_ENV) tools/test_versions.py $(VERSIONS) || status=1; \
	$(if $(VERSIONS),,$(PYTHON_ENV) tools/test_nodes.py || status=1;) exit $$status

mutate: env  ## Change the sources in 400 places, one at a time, and see that a test fails (MUTATE="--kernels" for the kernels; hours)
	@$(PYTHON_ENV) tools/mutate.py $(MUTATE)

soak: env  ## Ten million random calls with hostile numbers (an hour; SOAK="--only readers" for damaged files, "--help" for more)
	@$(PYTHON_ENV) tools/run_soak.py $(SOAK)

serve: env npm  ## The demo in the browser
	@$(PYTHON_ENV) tools/serve.py --port $(or $(PORT),8000)

demo: env npm  ## Write the demo as a folder for any static host; its path is the last line
	@$(PYTHON_ENV) tools/demo.py

bench: env  ## Measure every mechanism and the peers in every runtime (about 15 minutes)
	@$(PYTHON_ENV) tools/npm_install.py js benchmarks && $(PYTHON_ENV) tools/build_js.py
	@dist=$$($(PYTHON_ENV) tools/pyodide_dist.py); PYODIDE_DIST="$$dist" $(PYTHON_ENV) -m benchmarks $(BENCH)

docs: env npm  ## Build the documentation site; its first page is the last line
	@$(PYTHON_ENV) tools/build_docs.py --live

wheel: env  ## Build the universal wheel; its path is the last line
	@$(PYTHON_ENV) tools/build_wheel.py

wheels: env  ## Build the wheel and one with native kernels for each platform; their paths
	@$(PYTHON_ENV) tools/build_wheel.py all

dist: env npm  ## Build, check and try everything that is published, into dist/ (a quarter of an hour; PLATFORMS=linux-x86_64 for some wheels)
	@$(PYTHON_ENV) tools/packages.py $(PLATFORMS)

lint: env npm  ## Style, spelling and types
	@$(PYTHON_ENV) tools/test_suites.py lint

format: env npm  ## Put Python, C and TypeScript into the project's form
	@$(PYTHON_ENV) tools/form.py

dist-path: env  ## Assemble the local Pyodide distribution; its folder is the last line
	@$(PYTHON_ENV) tools/pyodide_dist.py

js-kernels: env  ## Compile the npm package's kernels without Python
	@$(PYTHON_ENV) tools/build_js_kernels.py

js-pack: env npm  ## Build the npm package; the tarball's path is the last line
	@wheel=$$($(PYTHON_ENV) tools/build_wheel.py); cd js && \
	tarball=$$(GRAPHATTEND_WHEEL="$$wheel" npm pack --silent --pack-destination . | tail -n 1); echo "$$PWD/$$tarball"

numpy-simd: env  ## Build NumPy's wheel for Pyodide with WebAssembly SIMD (ten minutes; needs Debian's packages); its path is the last line
	@$(PYTHON_ENV) recipes/numpy/build.py $(if $(NUMPY),--numpy $(NUMPY))

clean:  ## Remove what was made here, and nothing else (the machine's download cache stays)
	@python=$$(sh tools/find_python.sh); "$$python" tools/clean.py
