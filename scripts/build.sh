#!/usr/bin/env bash
# Installs what is missing and builds the release. Takes a second when nothing changed.
. "$(dirname "$0")/say.sh"
cd "$checkout"

"$checkout/scripts/setup.sh" run
"$checkout/scripts/build-web.sh"
quietly "Slipway: building (release; several minutes the first time)" cargo build --release -p server --bin slipway
