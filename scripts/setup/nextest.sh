# shellcheck shell=bash
# The test runner.

have cargo-nextest || quietly "cargo-nextest: building (several minutes)" \
    env -u CARGO_TARGET_DIR cargo install cargo-nextest --version 0.9.143 --locked --root "$cache/tools"
found "nextest $(cargo-nextest --version | sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p')"
