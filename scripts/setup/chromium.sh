# shellcheck shell=bash
# The browser that Playwright drives.

if ! "$checkout/scripts/chromium-bin.sh" >/dev/null; then
    if have apt-cache && apt-cache show chromium 2>/dev/null | grep -q '^Package: chromium$'; then
        install_packages "Chromium" chromium fonts-liberation
    else
        quietly "Chromium: fetching Playwright's own" npm exec --prefix "$checkout/end2end" -- playwright install --with-deps chromium
    fi
fi
found "Chromium"
