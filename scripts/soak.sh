#!/usr/bin/env bash
# Runs each race that must have one winner a thousand times, and tells how often which of the two was first; then kills and
# stops workers and restarts the database for ten minutes while pipelines run, and tells what was found.
#   RACES=10000 SOAK=3600 scripts/soak.sh
. "$(dirname "$0")/say.sh"
cd "$checkout"

"$checkout/scripts/setup.sh" test-rust
quietly "Races: compiling" linted cargo test --no-run -p services
export RACES=${RACES:-1000}
say "Races: $RACES of each"
linted "$checkout/scripts/test-postgres.sh" cargo nextest run -p services -E 'test(/::one_winner::/)' \
    --status-level pass --success-output final

quietly "Crashes: compiling" linted cargo test --no-run -p server --test program
export SOAK=${SOAK:-600}
say "Crashes: for $SOAK seconds"
linted "$checkout/scripts/test-postgres.sh" cargo nextest run -p server -E 'test(/^soak::/)' \
    --status-level pass --success-output final
