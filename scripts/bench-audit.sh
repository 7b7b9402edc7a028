#!/usr/bin/env bash
# Measures the chain of history: what a bundle of 100,000 events takes to verify, in a release build, and what a million
# events cost whoever writes, reads and exports them. Prints figures and judges none.
. "$(dirname "$0")/say.sh"
cd "$checkout"

say "Verifying a bundle of 100,000 events, in a release build"
cargo test --quiet --release -p chain -- --ignored --nocapture a_hundred_thousand_events | grep verified
say "A million events in a database"
"$checkout/scripts/test-postgres.sh" --durable cargo test --quiet -p services --test services -- --ignored --nocapture a_million_events |
    grep ': \| in '
