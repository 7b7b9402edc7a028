#!/usr/bin/env bash
# Measures a release build on a database of 100,000 runs and 50 million points, which takes some minutes to make and 4 GB.
#   RUNS=20000 scripts/bench-scale.sh      a smaller one
#   CLIENTS=4 scripts/bench-scale.sh       questions of several clients at once
. "$(dirname "$0")/say.sh"
cd "$checkout"
name=scale what=Scale
# shellcheck source=bench/server.sh
. "$checkout/scripts/bench/server.sh"

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
