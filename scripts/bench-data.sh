#!/usr/bin/env bash
# Measures datasets with a release build: one byte changed in a large file, and a folder of many small files.
#   SIZE_MB=10240 scripts/bench-data.sh      a file of 10 GiB instead of 1 GiB (three times that must be free)
#   FILES=1000000 scripts/bench-data.sh      a million files instead of 100,000
#   OUT=file.md scripts/bench-data.sh        the figures as Markdown, too
. "$(dirname "$0")/say.sh"
cd "$checkout"
name=data what=Data
# shellcheck source=bench/server.sh
. "$checkout/scripts/bench/server.sh"

"${psql[@]}" "$SLIPWAY_TEST_DATABASE_URL" --command "create database scale"
start
printf 'a long enough password' |
    "$SLIPWAY_BIN" admin create-user --email bench@example.org --role admin --password-stdin --data-dir "$folder/data" >/dev/null
SLIPWAY_TOKEN=$("$SLIPWAY_BIN" admin create-token --email bench@example.org --name bench --data-dir "$folder/data")
export SLIPWAY_TOKEN SLIPWAY_URL=$url SLIPWAY_CACHE=$folder/cache
python3 scripts/bench/data.py "$SLIPWAY_BIN" "$folder" "${SIZE_MB:-1024}" "${FILES:-100000}" "${OUT:-}"
