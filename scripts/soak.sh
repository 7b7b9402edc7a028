#!/usr/bin/env bash
# Runs each race that must have one winner a thousand times, and tells how often which of the two was first.
#   RACES=10000 scripts/soak.sh
. "$(dirname "$0")/say.sh"
cd "$checkout"

"$checkout/scripts/setup.sh" test-rust
quietly "Races: compiling" linted cargo test --no-run -p services
export RACES=${RACES:-1000}
say "Races: $RACES of each"
linted "$checkout/scripts/test-postgres.sh" cargo nextest run -p services -E 'test(/::one_winner::/)' \
    --status-level pass --success-output final
