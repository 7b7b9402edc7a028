#!/usr/bin/env bash
# Measures a release build on a database of 100,000 runs and 50 million points, which takes some minutes to make and 4 GB.
#   RUNS=20000 scripts/bench-scale.sh      a smaller one
#   CLIENTS=4 scripts/bench-scale.sh       questions of several clients at once
# (--prepared is what it calls itself with once everything is built and the database server is there.)
. "$(dirname "$0")/say.sh"
cd "$checkout"

if [ "${1:-}" != --prepared ]; then
    [ -n "${SLIPWAY_BIN:-}" ] || "$checkout/scripts/build.sh"
    export SLIPWAY_BIN=${SLIPWAY_BIN:-$CARGO_TARGET_DIR/release/slipway}
    exec "$checkout/scripts/test-postgres.sh" --durable "$checkout/scripts/bench-scale.sh" --prepared
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
    "$SLIPWAY_BIN" serve --listen "127.0.0.1:$port" --data-dir "$folder/data" >"$logs/bench-scale.log" 2>&1 &
    server=$!
    hint="The server's log is $logs/bench-scale.log" quietly "Scale: starting the server" ready
}
ready() {
    for _ in $(seq 300); do
        kill -0 "$server" || return 1
        python3 -c "import urllib.request as u; u.urlopen('$url/readyz', timeout=2)" 2>/dev/null && return 0
        sleep 0.2
    done
    return 1
}
seed() { "${psql[@]}" "$scale" --variable "runs=${RUNS:-100000}" --file scripts/bench/scale.sql; }
packed() {
    local now before='' same=0
    for _ in $(seq 1200); do
        now=$(sql "select count(*) from metric_journal where not packed")
        if [ "$now" = "$before" ]; then same=$((same + 1)); else same=0; fi
        [ $same -lt 45 ] || return 0
        before=$now
        sleep 1
    done
}

"${psql[@]}" "$SLIPWAY_TEST_DATABASE_URL" --command "create database scale"
start
printf 'a long enough password' |
    "$SLIPWAY_BIN" admin create-user --email bench@example.org --role admin --password-stdin --data-dir "$folder/data" >/dev/null
TOKEN=$("$SLIPWAY_BIN" admin create-token --email bench@example.org --name bench --data-dir "$folder/data")
export TOKEN
python3 scripts/bench/scale.py "$url"
stop
quietly "Scale: seeding ${RUNS:-100000} runs" seed
start
quietly "Scale: packing points" packed
sql "vacuum analyze"
# What the seeding left to be written is not of what is measured.
sql "checkpoint"
sync
COOKIE=$(python3 scripts/bench/session.py "$url" bench@example.org "a long enough password")
export COOKIE
say "$(sql "select count(*) from runs") runs, $(sql "select (select coalesce(sum(length(points)), 0) / 28 from metric_journal) +
    (select coalesce(sum(count), 0) from metric_chunks)") points"
python3 scripts/bench/scale.py "$url" "$(sql "select id from experiments where name = 'scale'")"
