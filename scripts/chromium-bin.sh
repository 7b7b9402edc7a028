#!/usr/bin/env bash
# Prints the path of the Chromium that the browser tests drive: the system's, else the one Playwright fetched.
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
    found=$(command -v "$name") || continue
    # Ubuntu's chromium-browser is a stub that asks to install a snap.
    "$found" --version >/dev/null 2>&1 || continue
    printf '%s\n' "$found"
    exit 0
done
fetched=$(find "${PLAYWRIGHT_BROWSERS_PATH:-$HOME/.cache/ms-playwright}" -path '*/chrome-linux*/chrome' -type f 2>/dev/null | sort -V | tail -n 1)
[ -n "$fetched" ] || exit 1
printf '%s\n' "$fetched"
