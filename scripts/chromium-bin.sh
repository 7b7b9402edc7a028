#!/usr/bin/env bash
# Prints the path of the Chromium that the browser tests drive: the system's, else the one Playwright fetched. The one
# that cannot show windows is preferred: it is the smaller.
set -euo pipefail

fetched=$(find "${PLAYWRIGHT_BROWSERS_PATH:-$HOME/.cache/ms-playwright}" -path '*/chrome-linux*/chrome' -type f 2>/dev/null | sort -V | tail -n 1 || true)
for name in chromium-headless-shell chromium chromium-browser google-chrome "${fetched:-none}"; do
    found=$(command -v "$name") || continue
    # Ubuntu's chromium-browser is a stub that asks to install a snap, and a fetched one may lack libraries.
    "$found" --version >/dev/null 2>&1 || continue
    printf '%s\n' "$found"
    exit 0
done
exit 1
