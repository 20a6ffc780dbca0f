# Thin: the real commands stay cargo's. `make demo` and `make test` install what is missing first.
.PHONY: demo test check check-windows deny bench fuzz package test-package package-windows test-windows setup setup-tests setup-package \
	setup-windows

# Arguments for the demo, such as: make demo ARGS="--input screen"
ARGS =

demo: setup
	cargo run --release --quiet --bin hevcast -- demo $(ARGS)

test: setup-tests
	cargo test --workspace

check: setup
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
	scripts/check-layers
	scripts/check-cycles
	scripts/check-features

# Whether the Windows program compiles, in four minutes, without x265 and FFmpeg for it.
check-windows: setup
	scripts/windows/check

# Licences, origins and known faults of all crates that are used; asks for the list of faults at RustSec. The first time it
# compiles cargo-deny, some minutes.
deny:
	@cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny
	cargo deny check

# All benchmarks, about an hour; writes docs/performance.md and its plots. Status 1 when a bar is missed.
bench: setup-tests
	cargo build --release --workspace --quiet
	target/release/hevcast-bench page --write docs/performance.md

# A million executions of each target in fuzz/; needs a nightly toolchain and cargo-fuzz.
fuzz:
	cd fuzz && for target in fuzz_targets/*.rs; do \
	  target="$$(basename "$$target" .rs)"; \
	  cargo +nightly fuzz run -O "$$target" "$$(mktemp -d)" "corpus/$$target" -- -runs=1000000 -max_len=4096 || exit 1; \
	done

# A .deb and a single file that needs no FFmpeg, and both of the server alone, in target/package; FFmpeg's part of that takes
# some minutes once.
package: setup-package
	scripts/package

# Both of them installed, used and removed in a bare system; needs root and Debian's archive.
test-package: package
	scripts/test-package

# One file for Windows, its ZIP and winget's manifests, in target/package; compilers and libraries are made once, ten minutes.
package-windows: setup-windows
	scripts/package-windows

# Scenarios with that file, by Wine in a Debian 13 of its own; needs root and Debian's archive.
test-windows: setup-tests package-windows
	scripts/test-windows

setup:
	@scripts/setup build

setup-tests:
	@scripts/setup tests
	@scripts/fetch-ffmpeg

setup-package:
	@scripts/setup package

setup-windows:
	@scripts/setup windows
