# shellcheck shell=bash
# The browser that Playwright drives.

# Reads to the end: with pipefail, what is cut off counts as failed.
packaged() { have apt-cache && apt-cache show "$1" 2>/dev/null | grep "^Package: $1\$" >/dev/null; }
there() { "$checkout/scripts/chromium-bin.sh" >/dev/null; }
playwright() { "$checkout/end2end/node_modules/.bin/playwright" "$@"; }

if ! there; then
    # The one without windows is half the size and starts faster; not every system packages it.
    for package in chromium-headless-shell chromium ""; do
        [ -z "$package" ] || ! packaged "$package" || break
    done
    if [ -n "$package" ] && may_be_root; then
        install_packages "Chromium" "$package" fonts-liberation
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
