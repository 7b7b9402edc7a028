#!/usr/bin/env bash
# Measures the pages and lists of pipelines: a run of 10,000 steps and one of 500 at the top, 1,000 runs that wait,
# 10,000 that have ended, and a log of a million lines. Nothing runs meanwhile: there is no worker.
#   STEPS=100 WAITING=10 ENDED=100 LINES=1000 scripts/bench-pages.sh      fewer (STEPS is a square)
#   SLIPWAY_BIN=target/debug/slipway scripts/bench-pages.sh               another build
. "$(dirname "$0")/say.sh"
cd "$checkout"
name=pages what=Pages
# shellcheck source=bench/server.sh
. "$checkout/scripts/bench/server.sh"
export SLIPWAY_NO_WORKER=true

seed() {
    "${psql[@]}" "$scale" --variable "ended=${ENDED:-10000}" --variable "lines=${LINES:-1000000}" --file scripts/bench/pages.sql
}

"${psql[@]}" "$SLIPWAY_TEST_DATABASE_URL" --command "create database scale"
start
printf 'a long enough password' |
    "$SLIPWAY_BIN" admin create-user --email bench@example.org --role admin --password-stdin --data-dir "$folder/data" >/dev/null
TOKEN=$("$SLIPWAY_BIN" admin create-token --email bench@example.org --name bench --data-dir "$folder/data")
export TOKEN
quietly "Pages: starting runs" python3 scripts/bench/pages.py prepare "$url"
quietly "Pages: seeding what became of them" seed
# What the seeding left to be written is not of what is measured.
sql "checkpoint"
sync
COOKIE=$(python3 scripts/bench/session.py "$url" bench@example.org "a long enough password")
export COOKIE
say "$(sql "select count(*) from steps") steps, $(sql "select count(*) from pipeline_runs") runs, \
$(sql "select max(log_lines) from step_attempts") lines in one log"
python3 scripts/bench/pages.py measure "$url"
