#!/usr/bin/env bash
# Installs what is missing and builds the release. Takes a second when nothing changed.
. "$(dirname "$0")/say.sh"
cd "$checkout"

"$checkout/scripts/setup.sh" run
"$checkout/scripts/build-web.sh"
first=
[ -e "$CARGO_TARGET_DIR/release/slipway" ] || first="; several minutes the first time"
quietly "Slipway: building (release$first)" cargo build --release -p server --bins
