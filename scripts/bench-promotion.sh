#!/usr/bin/env bash
# Measures a release build that has 10,000 promotions and a million lines of history: the pages, and what a decision takes.
#   PROMOTIONS=1000 EVENTS=10000 scripts/bench-promotion.sh      fewer
. "$(dirname "$0")/say.sh"
cd "$checkout"
name=promotion what=Promotions
# shellcheck source=bench/server.sh
. "$checkout/scripts/bench/server.sh"

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
