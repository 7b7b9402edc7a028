#!/usr/bin/env bash
# Deletes what builds of this checkout made. The server's data stays, and so do the tools that setup fetched, and a
# CARGO_TARGET_DIR of your own, where others may build too.
set -euo pipefail
cd "$(dirname "$0")/.."

for folder in "$HOME"/.cache/slipway/target*; do
    [ "$(cat "$folder/.checkout" 2>/dev/null)" != "$PWD" ] || rm -rf "$folder"
done
# Without a slash at its end: target may be a link.
find site -mindepth 1 ! -name .gitignore -delete
rm -rf target node_modules end2end/node_modules test-results end2end/test-results end2end/playwright-report
