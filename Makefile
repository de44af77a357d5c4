# Thin calls of the tools below. Every target sets up and builds what it needs, and redoes nothing that is done.
SHELL := /bin/bash
PYTHON ?= python3
PRESET ?= dev
BUILD := build/$(PRESET)
VENV := .venv/bin/python
DATA := build/data/fashion
export PYTHON
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := true

.PHONY: all setup build data demo test test-all claims check peers wheel clean

all: build

setup:
	@setup/setup.sh

$(BUILD)/build.ninja: setup/requirements.txt | setup
	@tools/step "configure $(PRESET)" cmake --preset $(PRESET) -DPython_EXECUTABLE=$(CURDIR)/$(VENV)
	@touch $@

build: setup $(BUILD)/build.ninja
	@tools/step "build $(PRESET)" cmake --build --preset $(PRESET)

# Fashion-MNIST as Parquet, and a f32 model of it for the tests (examples/fashion/train.py run by hand, one epoch).
data: build
	@test -f $(DATA)/test.parquet || tools/step "Fashion-MNIST to Parquet" $(VENV) examples/fashion/data.py $(DATA)
	@test -f $(DATA)/model.onnx || PYTHONPATH=$(BUILD) tools/step "f32 model for the tests" $(VENV) \
	  examples/fashion/train.py --train $(DATA)/train.parquet --validation $(DATA)/test.parquet --width 32 --out_dir $(DATA)

demo: data
	@PYTHONPATH=$(BUILD) PATH=$(CURDIR)/.venv/bin:$$PATH $(VENV) examples/fashion/demo.py --build $(BUILD) --data $(DATA)

test: data
	@STROP_BUILD=$(BUILD) PYTHONPATH=$(BUILD) $(VENV) tests/run.py core

test-all: data
	@setup/setup.sh services claims
	@STROP_BUILD=$(BUILD) PYTHONPATH=$(BUILD) $(VENV) tests/run.py core slow

# The mission's claims, one JSON object a line: make claims ONLY=1.3,1.5.
claims: data
	@setup/setup.sh claims
	@STROP_BUILD=$(BUILD) PYTHONPATH=$(BUILD) $(VENV) bench/claims/run.py --only "$(ONLY)"

check: build
	@tools/step "clang-format" tools/check-format
	@tools/step "headers stand alone" cmake --build --preset $(PRESET) --target all_verify_interface_header_sets
	@tools/step "clang-tidy" tools/check-tidy $(BUILD)

# A peer in a venv of its own, never needed by users: make peers NAME=mlserver (bench/peers/mlserver.txt).
peers:
	@test -f bench/peers/$(NAME).txt || { echo "peers: NAME=$(NAME) is none of" bench/peers/*.txt; exit 2; }
	@tools/step "peer $(NAME)" bash -c '$(PYTHON) -m venv .venv-peers/$(NAME) && \
	  .venv-peers/$(NAME)/bin/pip install -r bench/peers/$(NAME).txt'

wheel: setup
	@tools/step "wheel in dist/" .venv/bin/pip wheel --no-build-isolation --no-deps -w dist .

clean:
	rm -rf build dist
