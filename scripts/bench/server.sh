# A release build that has a database server to itself, to be measured. Sourced by a script `bench-$name.sh` that says what each
# of its steps is of (`what`): it calls itself with --prepared once everything is built and the database server is there.

if [ "${1:-}" != --prepared ]; then
    [ -n "${SLIPWAY_BIN:-}" ] || "$checkout/scripts/build.sh"
    export SLIPWAY_BIN=${SLIPWAY_BIN:-$CARGO_TARGET_DIR/release/slipway}
    exec "$checkout/scripts/test-postgres.sh" --durable "$checkout/scripts/bench-$name.sh" --prepared
fi

folder=$(mktemp -d /tmp/slipway-bench.XXXXXX)
server=''
stop() {
    # In the background a script's children do not hear SIGINT, so it is TERM that stops a server.
    [ -z "$server" ] || { kill -TERM "$server" 2>/dev/null && wait "$server"; } || true
    server=''
}
trap 'stop; rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$folder"

postgres=${SLIPWAY_TEST_DATABASE_URL%/postgres\?*}
socket=${SLIPWAY_TEST_DATABASE_URL#*\?host=}
psql=("$("$checkout/scripts/postgres-bin.sh")/psql" --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1)
scale="$postgres/scale?host=$socket"
sql() { "${psql[@]}" "$scale" --command "$1"; }
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
export SLIPWAY_DATABASE_URL=$scale
start() {
    "$SLIPWAY_BIN" serve --listen "127.0.0.1:$port" --data-dir "$folder/data" >"$logs/bench-$name.log" 2>&1 &
    server=$!
    hint="The server's log is $logs/bench-$name.log" quietly "$what: starting the server" ready
}
ready() {
    for _ in $(seq 300); do
        kill -0 "$server" || return 1
        python3 -c "import urllib.request as u; u.urlopen('$url/readyz', timeout=2)" 2>/dev/null && return 0
        sleep 0.2
    done
    return 1
}
