#!/usr/bin/env bash
# Measures a release build that has 10,000 promotions and a million lines of history: the pages, and what a decision takes.
#   PROMOTIONS=1000 EVENTS=10000 scripts/bench-promotion.sh      fewer
# (--prepared is what it calls itself with once everything is built and the database server is there.)
. "$(dirname "$0")/say.sh"
cd "$checkout"

if [ "${1:-}" != --prepared ]; then
    [ -n "${SLIPWAY_BIN:-}" ] || "$checkout/scripts/build.sh"
    export SLIPWAY_BIN=${SLIPWAY_BIN:-$CARGO_TARGET_DIR/release/slipway}
    exec "$checkout/scripts/test-postgres.sh" --durable "$checkout/scripts/bench-promotion.sh" --prepared
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
    "$SLIPWAY_BIN" serve --listen "127.0.0.1:$port" --data-dir "$folder/data" >"$logs/bench-promotion.log" 2>&1 &
    server=$!
    hint="The server's log is $logs/bench-promotion.log" quietly "Promotions: starting the server" ready
}
ready() {
    for _ in $(seq 300); do
        kill -0 "$server" || return 1
        python3 -c "import urllib.request as u; u.urlopen('$url/readyz', timeout=2)" 2>/dev/null && return 0
        sleep 0.2
    done
    return 1
}
seed() {
    "${psql[@]}" "$scale" --variable "promotions=${PROMOTIONS:-10000}" --variable "events=${EVENTS:-1000000}" \
        --file scripts/bench/promotion.sql
}
chained() {
    for _ in $(seq 600); do
        [ "$(sql "select count(*) from audit_unchained")" != 0 ] || return 0
        sleep 1
    done
    return 1
}
person() { # NAME ROLE: somebody's token
    printf 'a long enough password' |
        "$SLIPWAY_BIN" admin create-user --email "$1@example.org" --role "$2" --password-stdin --data-dir "$folder/data" >/dev/null
    "$SLIPWAY_BIN" admin create-token --email "$1@example.org" --name bench --data-dir "$folder/data"
}

"${psql[@]}" "$SLIPWAY_TEST_DATABASE_URL" --command "create database scale"
start
TOKEN=$(person bench admin)
REQUESTER=$(person requester contributor)
FIRST=$(person first approver)
SECOND=$(person second approver)
export TOKEN REQUESTER FIRST SECOND
quietly "Promotions: asking for some" python3 scripts/bench/promotion.py prepare "$url"
stop
quietly "Promotions: seeding ${PROMOTIONS:-10000} and ${EVENTS:-1000000} lines of history" seed
start
quietly "Promotions: chaining history" chained
sql "vacuum analyze"
# What the seeding left to be written is not of what is measured.
sql "checkpoint"
sync
COOKIE=$(python3 scripts/bench/session.py "$url" first@example.org "a long enough password")
export COOKIE
say "$(sql "select count(*) from promotions") promotions, $(sql "select count(*) from audit_events") lines of history"
python3 scripts/bench/promotion.py measure "$url"
