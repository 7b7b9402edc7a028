#!/usr/bin/env bash
# Measures a release build that runs pipelines: each step a process of its own that does nothing.
#   STEPS=1000 ROUNDS=5 scripts/bench-pipeline.sh      a smaller fan-out, fewer rounds
. "$(dirname "$0")/say.sh"
cd "$checkout"
name=pipeline what=Pipelines
# shellcheck source=bench/server.sh
. "$checkout/scripts/bench/server.sh"

"${psql[@]}" "$SLIPWAY_TEST_DATABASE_URL" --command "create database scale"
start
printf 'a long enough password' |
    "$SLIPWAY_BIN" admin create-user --email bench@example.org --role admin --password-stdin --data-dir "$folder/data" >/dev/null
TOKEN=$("$SLIPWAY_BIN" admin create-token --email bench@example.org --name bench --data-dir "$folder/data")
export TOKEN
SERVER=$server python3 scripts/bench/pipeline.py "$url" "${psql[@]}" "$scale"
