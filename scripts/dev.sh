#!/usr/bin/env bash
# Runs Slipway from a debug build and builds it again whenever a source file changes. A build that fails leaves the
# last good server running.
. "$(dirname "$0")/say.sh"
cd "$checkout"

"$checkout/scripts/setup.sh" run
mark=$(mktemp)
server=
stop() {
    if [ -n "$server" ]; then
        kill -INT "$server" 2>/dev/null || true
        wait "$server" || true
    fi
    server=
}
trap 'stop; rm -f "$mark"' EXIT
trap 'exit 130' INT TERM HUP

build() {
    # In shells of their own, so that a failure ends the build and not the watching.
    "$checkout/scripts/build-web.sh" --quick &&
        (quietly "Slipway: building (debug)" linted cargo build -p server --bins)
}
changed() {
    [ -n "$(find app crates demo frontend migrations server Cargo.toml Cargo.lock -type f -newer "$mark" -print -quit)" ]
}

while true; do
    touch "$mark"
    if build; then
        stop
        # Job control gives the server a process group of its own: Ctrl-C comes to this script first, which passes it on.
        set -m
        "$CARGO_TARGET_DIR/debug/slipway" serve ${LISTEN:+--listen "$LISTEN"} ${DATA_DIR:+--data-dir "$DATA_DIR"} &
        server=$!
        set +m
    fi
    until changed; do sleep 1; done
    say "A file changed"
done
