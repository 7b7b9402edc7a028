# shellcheck shell=bash
# The browser that Playwright drives.

# Reads to the end: with pipefail, what is cut off counts as failed.
packaged() { have apt-cache && apt-cache show "$1" 2>/dev/null | grep "^Package: $1\$" >/dev/null; }
there() { "$checkout/scripts/chromium-bin.sh" >/dev/null; }
playwright() { "$checkout/end2end/node_modules/.bin/playwright" "$@"; }

if ! there; then
    if may_be_root && packaged chromium-headless-shell; then
        install_packages "Chromium" chromium-headless-shell fonts-liberation
    elif may_be_root && packaged chromium; then
        install_packages "Chromium" chromium fonts-liberation
    else
        # For one user it needs nobody's leave, unless the system lacks libraries that it loads.
        hint="Have an administrator install Chromium, and try again." \
            quietly "Chromium: fetching Playwright's own" playwright install chromium
        if ! there && may_be_root; then
            ask_for_root "Chromium" "install the libraries that it needs"
            quietly "Chromium: installing the libraries that it needs" playwright install-deps chromium
        fi
    fi
    there || fail "Chromium is there but does not start. Have an administrator install what it loads:" \
        "    cd end2end && npx playwright install-deps chromium"
fi
found "Chromium"
