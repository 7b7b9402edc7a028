#!/usr/bin/env bash
# Measures a release build beside MLflow's own server: the same load, on the same machine, with databases in the same
# PostgreSQL server, one after the other. Prints one table, and fails when a bound is missed.
#   SECONDS_EACH=20 OUT=docs/bench.md scripts/bench.sh     longer rounds, and the table as Markdown too
#   SLIPWAY_BIN=/usr/bin/slipway scripts/bench.sh          another program than the one that is built here
#   CONNECTIONS=32 scripts/bench.sh                        more clients at once
# Over a connection that stays open, as clients keep theirs, MLflow's server takes 40 ms more for a small answer than over a
# new one, so that with 8 connections it waits more than it works. What it can do at most shows with 32.
# (--prepared is what it calls itself with once everything is built and the database server is there.)
. "$(dirname "$0")/say.sh"
cd "$checkout"

if [ "${1:-}" != --prepared ]; then
    [ -n "${SLIPWAY_BIN:-}" ] || "$checkout/scripts/build.sh"
    "$checkout/scripts/setup.sh" bench
    export SLIPWAY_BIN=${SLIPWAY_BIN:-$CARGO_TARGET_DIR/release/slipway}
    exec "$checkout/scripts/test-postgres.sh" --durable "$checkout/scripts/bench.sh" --prepared
fi

# Reading comes first, so that both read the same: who writes faster would have more to read.
workloads=(search history get-run log-metric log-batch)
# What holds points and latest values. A table that a build does not have counts nothing.
slipway_tables=(metric_journal metric_chunks metrics latest_metrics)
mlflow_tables=(metrics latest_metrics)

folder=$(mktemp -d /tmp/slipway-bench.XXXXXX)
export RESULTS=$folder/results WRITES=$folder/writes
server='' sampler=''
stop() {
    [ -z "$sampler" ] || kill -TERM "$sampler" 2>/dev/null || true
    # In the background a script's children do not hear SIGINT, so it is TERM that stops a server.
    [ -z "$server" ] || { kill -TERM "$server" 2>/dev/null && wait "$server"; } || true
    server='' sampler=''
}
trap 'stop; rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM

postgres=${SLIPWAY_TEST_DATABASE_URL%/postgres\?*}
socket=${SLIPWAY_TEST_DATABASE_URL#*\?host=}
psql=$("$checkout/scripts/postgres-bin.sh")/psql
sql() { "$psql" --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 "$postgres/$1?host=$socket" --command "$2"; }

start_slipway() { # PORT
    export SLIPWAY_DATABASE_URL="$postgres/slipway?host=$socket"
    "$SLIPWAY_BIN" serve --listen "127.0.0.1:$1" --data-dir "$folder/slipway" >"$logs/bench-slipway.log" 2>&1 &
}
token_slipway() {
    local data=(--data-dir "$folder/slipway")
    head -c 24 /dev/urandom | base64 |
        "$SLIPWAY_BIN" admin create-user --email bench@example.org --role admin --password-stdin "${data[@]}" >/dev/null
    "$SLIPWAY_BIN" admin create-token --email bench@example.org --name bench "${data[@]}"
}
start_mlflow() { # PORT
    # From its own folder: it leaves files where it is started.
    (cd "$folder" && exec env MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true "$cache/mlflow-server/bin/mlflow" server \
        --workers 4 --host 127.0.0.1 --port "$1" --artifacts-destination "$folder/mlflow" \
        --backend-store-uri "${postgres/postgres:/postgresql+psycopg2:}/mlflow?host=$socket") >"$logs/bench-mlflow.log" 2>&1 &
}
token_mlflow() { true; }

ready() {
    for _ in $(seq 300); do
        kill -0 "$server" || return 1
        python3 -c "import urllib.request as u; u.urlopen('$url/health', timeout=2)" 2>/dev/null && return 0
        sleep 0.2
    done
    return 1
}
# What an ended run logged is packed in the background: that is over when the journal is empty, or as good as over when it has
# not changed for half of the time that we wait.
packed() {
    local limit=${PACKING_SECONDS:-120} now before='' same=0
    [ "$(sql slipway "select to_regclass('metric_journal') is not null")" = t ] || return 0
    for _ in $(seq "$limit"); do
        now=$(sql slipway "select count(*) from metric_journal")
        if [ "$now" = "$before" ]; then same=$((same + 1)); else same=0; fi
        [ "$now" -gt 0 ] && [ "$same" -lt $((limit / 2)) ] || return 0
        before=$now
        sleep 1
    done
}

measure() { # SIDE TABLE...
    local side=$1 port url memory=$folder/memory table bytes=0
    shift
    sql postgres "create database $side"
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    url=http://127.0.0.1:$port
    "start_$side" "$port"
    server=$!
    hint="The server's log is $logs/bench-$side.log" quietly "Bench: starting $side" ready
    TOKEN=$("token_$side")
    export TOKEN SEED=$folder/seed.json SIDE=$side

    say "Bench: $side"
    python3 scripts/bench/seed.py "$url" "${RUNS:-2000}" "$SEED"
    # Nobody measures what the seed left to do, nor a plan made before there was anything.
    sql "$side" "vacuum analyze"
    sql "$side" checkpoint
    python3 scripts/bench/memory.py "$server" >"$memory" &
    sampler=$!
    # The best of some rounds counts: how connections fall to the workers of a server is chance, and a worker of MLflow's
    # that got them all is half as fast as two.
    for workload in "${workloads[@]}"; do
        for round in $(seq "${ROUNDS:-2}"); do
            WORKLOAD=$workload ROUND=$round wrk --threads 2 --connections "${CONNECTIONS:-8}" --duration "${SECONDS_EACH:-8}s" \
                --timeout 60s --script scripts/bench/tracking.lua "$url" | grep "^$workload"
        done
    done
    kill -TERM $sampler
    wait $sampler || true
    printf '%s memory %s\n' "$side" "$(cat "$memory")" >>"$RESULTS"

    [ "$side" != slipway ] || quietly "Bench: waiting for points to be packed" packed
    stop
    for table in "$@"; do
        [ "$(sql "$side" "select to_regclass('$table') is not null")" = t ] || continue
        sql "$side" "vacuum $table"
        # With its partitions, if it has any.
        bytes=$((bytes + $(sql "$side" "select pg_total_relation_size('$table') +
            coalesce((select sum(pg_total_relation_size(relid)) from pg_partition_tree('$table')), 0)")))
    done
    printf '%s disk %s\n' "$side" "$bytes" >>"$RESULTS"
}
# Its database's user must be able to enter the folder above its own.
chmod 755 "$folder"
measure mlflow "${mlflow_tables[@]}"
measure slipway "${slipway_tables[@]}"

python3 scripts/bench/report.py "$RESULTS" ${OUT:+"$OUT"} \
    "${CONNECTIONS:-8}" "$("$SLIPWAY_BIN" --version)" \
    "MLflow $("$cache/mlflow-server/bin/python" -c 'from importlib.metadata import version; print(version("mlflow"))') (4 workers)" \
    "PostgreSQL $(sql postgres 'show server_version')"
