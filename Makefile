# Everything a user types. Each target sets up what it needs on a fresh Debian or Ubuntu machine.
.DELETE_ON_ERROR:
.PHONY: help setup gl demo train-demo test test-coverage test-libero-full test-robotwin-full test-peers test-slurm test-system check clean

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3,$(shell command -v $(p) 2>/dev/null)))
# skip: keep the installed torch; otherwise a requirement, such as torch==2.13.0. It stands here alone,
# not in constraints.txt, so that another one may be typed.
TORCH ?= torch==2.13.0
SLURM_PACKAGES := slurm-wlm munge
# The last is for OpenCV, which robosuite imports.
GL_PACKAGES := libegl1 libgl1 libgl1-mesa-dri libosmesa6 libglib2.0-0
DEMO := results/runs/demo
DEMO_SUITE := suite=robotwin suite.action_space=ee suite.camera_width=64 suite.camera_height=64 'tasks=[adjust_bottle,open_microwave,shake_bottle]'
DEMO_EVAL := eval $(DEMO_SUITE) episodes=5 video=all

help:
	@echo "make demo         evaluate two trained policies and the expert on three tasks; a report with videos, in minutes"
	@echo "make train-demo   collect demonstrations, pretrain and train a small policy, evaluate it (half an hour)"
	@echo "make test         the tests (at most 15 minutes)"
	@echo "make test-system  tests that need Debian packages (as root it installs them)"
	@echo "make test-slurm   tests on a real Slurm, which it starts and ends"
	@echo "make check        lint and types"
	@echo "make setup        only the environment, in $(VENV)"

setup: gl $(VENV)/.installed

# A TORCH that is typed after make is seen to again.
$(VENV)/.installed: pyproject.toml setup.py constraints.txt tests/plugin/pyproject.toml $(if $(filter command,$(origin TORCH)),_again)
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' \
	  || { echo "Python 3.11 or 3.12 is needed. On Debian 12 type: apt-get install -y python3.11-venv"; exit 1; }
	@$(MAKE) --no-print-directory _torch
	$(PIP) install -q -c constraints.txt -e '.[dev]'
	@# hf-libero declares packages that its environments never import; see pyproject.toml.
	$(PIP) install -q --no-deps hf-libero==0.1.4 -e tests/plugin
	@touch $@

.PHONY: _again _venv _torch
_again:

# Where Debian's venv package is missing, an interpreter without pip is left behind; uv makes such too.
_venv:
	@$(PIP) --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null 2>&1 \
	  || $(PYTHON) -m venv --clear $(VENV) \
	  || { echo "$(VENV) cannot be made. On Debian or Ubuntu type, as root, and then make again:"; \
	    $(PYTHON) -c 'import sys; print("  apt-get install -y python%d.%d-venv" % sys.version_info[:2])'; exit 1; }

# Without a GPU the CPU build is asked for first.
_torch: _venv
ifneq ($(TORCH),skip)
	@if $(BIN)/python -c 'import sys, torch; from packaging.requirements import Requirement; \
	  sys.exit(torch.__version__ not in Requirement(sys.argv[1]).specifier)' '$(TORCH)' 2>/dev/null; then :; \
	elif command -v nvidia-smi >/dev/null 2>&1; then $(PIP) install -q '$(TORCH)'; \
	elif $(PIP) install -q '$(TORCH)+cpu' 2>/dev/null; then :; \
	else echo "Your package index has no CPU build of $(TORCH). Its default build comes instead: on x86 with CUDA, gigabytes."; \
	  echo "If you want the CPU build, stop this, set PIP_EXTRA_INDEX_URL to PyTorch's index of CPU wheels (its install page names it) and make again."; \
	  $(PIP) install -q '$(TORCH)'; fi
endif

# Ubuntu 24.04 and Debian 13 write some names with t64. Where nothing can be installed rendering may
# work all the same; if not, a run that renders is refused before it starts, with what to type.
gl:
	@command -v dpkg >/dev/null || exit 0; \
	missing=""; for p in $(GL_PACKAGES); do \
	  dpkg -s $$p >/dev/null 2>&1 || dpkg -s $${p}t64 >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; then :; \
	else echo "Rendering without a screen and LIBERO may need: sudo apt-get install -y$$missing"; \
	  echo "Setup goes on without; sfbench doctor tells what works."; fi

# A baseline, a Spatial Forcing policy and the expert, on the same initial states.
demo: setup
	$(BIN)/sfbench $(DEMO_EVAL) policy=openvla_oft_micro checkpoint=shipped:baseline out=$(DEMO)/baseline
	$(BIN)/sfbench $(DEMO_EVAL) policy=openvla_oft_micro checkpoint=shipped:sf_vggt_mini out=$(DEMO)/sf_vggt_mini
	$(BIN)/sfbench $(DEMO_EVAL) policy=expert out=$(DEMO)/expert
	$(BIN)/sfbench report $(DEMO)/baseline $(DEMO)/sf_vggt_mini $(DEMO)/expert -o $(DEMO)/report

# From nothing to a report: demonstrations, start weights, a small policy, 100 episodes. Typed again
# it goes on where it was stopped.
TRAIN := results/runs/train-demo
TRAIN_SUITE := suite=robotwin suite.camera_width=64 suite.camera_height=64 tasks=[lift_pot]
train-demo: setup
	$(BIN)/sfbench collect $(TRAIN_SUITE) policy=expert episodes=400 out=$(TRAIN)/demos
	$(BIN)/sfbench train vlm $(TRAIN_SUITE) policy=openvla_oft_micro scenes=200 steps=500 out=$(TRAIN)/start
	$(BIN)/sfbench train policy=openvla_oft_micro dataset=$(TRAIN)/demos start=$(TRAIN)/start recipe=mini_cpu arm=baseline out=$(TRAIN)/run
	$(BIN)/sfbench eval $(TRAIN_SUITE) policy=openvla_oft_micro checkpoint=$(TRAIN)/run/checkpoints/12000 episodes=100 out=$(TRAIN)/eval
	$(BIN)/sfbench report $(TRAIN)/eval -o $(TRAIN)/report

# Two files at a time; a file's own tests share what is expensive to make.
test: setup
	$(BIN)/python -m pytest -m "not system and not slow" -n 2 --dist loadfile

# All 40 tasks of the four main suites bit for bit against the plain loop, all 130 scenes.
test-libero-full: setup
	$(BIN)/python -m pytest -m slow tests/suites/libero --timeout 7200

# How often the reports' intervals hold the truth, printed: 2,000 journals, 3,600 pairs of trainings.
test-coverage: setup
	$(BIN)/python -m pytest -s -m slow tests/report --timeout 1800

# Every task of the bimanual suite in every test, and 50 random episodes of each.
test-robotwin-full: setup
	$(BIN)/python -m pytest -m "slow or not slow" tests/suites/robotwin --timeout 7200

# vla-eval's own LIBERO benchmark plays whole episodes against our server: minutes.
test-peers: setup
	$(BIN)/python -m pytest -m "slow or not slow" tests/serving/peers

# munged, slurmctld and two slurmd in a temporary folder, ended with the tests.
test-slurm: setup _slurm
	$(BIN)/python -m pytest -m system tests/slurm

.PHONY: _slurm
_slurm:
	@missing=""; for p in $(SLURM_PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -z "$$missing" ] || ! command -v dpkg >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ]; then apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else echo "The tests on Slurm need root and: sudo apt-get install -y$$missing"; fi

# Without Slurm, which has a target of its own.
test-system: setup
	@if [ "$$(id -u)" = 0 ]; then apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver texlive-latex-recommended >/dev/null; fi
	$(BIN)/python -m pytest -m system --ignore tests/slurm
	$(MAKE) test-slurm

# An editable install hides renamed packages from the type checker, so it gets an installed copy.
check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build/typed build/lib build/bdist*
	$(PIP) install -q --no-deps --target build/typed .
	MYPYPATH=build/typed $(BIN)/mypy -p sfbench -p sfbench_suites -p sfbench_policies

clean:
	rm -rf build *.egg-info .mypy_cache .ruff_cache .pytest_cache
