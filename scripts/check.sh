#!/usr/bin/env bash
# Everything that can be said about the code without running it, cheapest first. Changes nothing.
. "$(dirname "$0")/say.sh"
cd "$checkout"

"$checkout/scripts/setup.sh" check
quietly "Format" cargo fmt --all --check
quietly "Dependencies: directions, licences, one copy of what must be one" python3 scripts/check-dependencies.py
if have shellcheck; then
    check_scripts() {
        shellcheck --external-sources --source-path=SCRIPTDIR .ci/run scripts/*.sh
        # The steps are sourced: what they use comes from say.sh and the steps before.
        shellcheck --exclude=SC2154,SC2164 scripts/setup/*.sh
    }
    quietly "Shell scripts" check_scripts
else
    say "Shell scripts: not checked, shellcheck is not installed"
fi
quietly "Types of the scripts" node_modules/.bin/tsc
# The server embeds this folder; what is in it does not matter here.
mkdir -p site
quietly "Lints: server and crates" cargo clippy --all-targets -- -D warnings
quietly "Lints: front end" cargo clippy -p frontend --target wasm32-unknown-unknown --target-dir "$CARGO_TARGET_DIR/web" -- -D warnings
"$checkout/scripts/build-web.sh"
quietly "Page sizes" node scripts/web-assets.mjs --budget site
