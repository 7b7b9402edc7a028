#!/usr/bin/env bash
# Everything that can be said about the code without running it, cheapest first. Changes nothing. One run says all that
# is wrong.
. "$(dirname "$0")/say.sh"
cd "$checkout"

"$checkout/scripts/setup.sh" check
wrong=0
check() { (quietly "$@") || wrong=1; }

check "Format" cargo fmt --all --check -- --color never
check "Dependencies: directions, licences, one copy of what must be one" python3 scripts/check-dependencies.py
if have shellcheck; then
    # The steps of the setup are sourced: what they use comes from say.sh and the steps before.
    check "Shell scripts" shellcheck --external-sources --source-path=SCRIPTDIR .ci/run scripts/*.sh
    check "Shell scripts: setup" shellcheck --exclude=SC2154,SC2164 scripts/setup/*.sh
else
    say "Shell scripts: not checked, shellcheck is not installed"
fi
check "Links of the documentation" python3 scripts/check-links.py
check "Types of the scripts" node_modules/.bin/tsc
check "Types of the browser tests" node_modules/.bin/tsc --noEmit --project end2end
# A warning fails the check and not the build: one crate's would hide the next one's, and every test.
# Without colours: they would stand before the word.
no_warning() { CARGO_TERM_COLOR=never "$@" 2>&1 | awk '/^warning/ { warned = 1 } { print } END { exit warned }'; }
check "Lints: server, crates and tests (compiling)" no_warning linted cargo test --no-run
# For this machine: nothing in it is for wasm alone, and what is compiled already serves.
check "Lints: front end" no_warning linted cargo build -p frontend
"$checkout/scripts/build-web.sh"
check "Page sizes" node scripts/web-assets.mjs --budget site

[ $wrong -eq 0 ] || fail "Something is wrong; each part that failed says what above."
