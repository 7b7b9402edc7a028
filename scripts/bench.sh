#!/usr/bin/env bash
# Measures a release build under load, on a server and data of its own, and prints one line a workload.
#   RUNS=2000 SECONDS_EACH=10 CONNECTIONS=16 scripts/bench.sh
. "$(dirname "$0")/say.sh"
cd "$checkout"

"$checkout/scripts/build.sh"
"$checkout/scripts/setup.sh" bench

slipway=$CARGO_TARGET_DIR/release/slipway
folder=$(mktemp -d /tmp/slipway-bench.XXXXXX)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
# Its database's user must be able to enter the folder above its own.
chmod 755 "$folder"
"$slipway" serve --listen "127.0.0.1:$port" --data-dir "$folder/data" >"$logs/bench-server.log" 2>&1 &
server=$!
# In the background a script's children do not hear SIGINT, so it is TERM that stops the server.
trap 'kill -TERM $server 2>/dev/null; wait $server; rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM

ready() {
    for _ in $(seq 300); do
        kill -0 $server || return 1
        python3 -c "import urllib.request as u; u.urlopen('$url/readyz', timeout=2)" 2>/dev/null && return 0
        sleep 0.2
    done
    return 1
}
hint="The server's log is $logs/bench-server.log" quietly "Bench: starting a server" ready
head -c 24 /dev/urandom | base64 | "$slipway" admin create-user --email bench@example.org --role admin --password-stdin --data-dir "$folder/data" >/dev/null
TOKEN=$("$slipway" admin create-token --email bench@example.org --name bench --data-dir "$folder/data")
export TOKEN SEED=$folder/seed.json

python3 scripts/bench/seed.py "$url" "${RUNS:-2000}" "$SEED"
for workload in log-metric log-batch search history get-run; do
    WORKLOAD=$workload wrk --threads 2 --connections "${CONNECTIONS:-16}" --duration "${SECONDS_EACH:-10}s" \
        --script scripts/bench/tracking.lua "$url" | grep "^$workload"
done
