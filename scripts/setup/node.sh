# shellcheck shell=bash
# Node.js, and the packages that build-web.sh uses, exactly as package-lock.json names them.

node_major() { node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/'; }

{ have node && have npm; } || install_packages "Node.js" nodejs npm
if [ "$(node_major)" -lt 20 ]; then
    # An old distribution's Node.js can still fetch a newer one as a package. And npm with it: Debian's runs under Debian's
    # Node.js only, which brings the modules that it loads.
    case $(uname -m) in x86_64) arch=x64 ;; aarch64) arch=arm64 ;; *) arch=none ;; esac
    hint="Install Node.js 20 or newer (https://nodejs.org) and try again." \
        quietly "Node.js 22: fetching, $(node --version) is too old" \
        npm install --no-save --no-audit --no-fund --prefix "$cache/node" "node-linux-$arch@22" npm@10
    mkdir -p "$cache/tools/bin"
    # Node.js last: with it on PATH, this is not done again.
    ln -sfn "$cache/node/node_modules/npm/bin/npm-cli.js" "$cache/tools/bin/npm"
    ln -sfn "$cache/node/node_modules/node-linux-$arch/bin/node" "$cache/tools/bin/node"
    hash -r
fi
[ "$(node_major)" -ge 20 ] || fail "Node.js 20 or newer is needed; $(command -v node) is $(node --version)."

npm_ci() { # DIRECTORY: does nothing when its packages are those of its lock file already
    local dir=$1 lock
    lock=$(sha256sum <"$dir/package-lock.json")
    [ "$(cat "$dir/node_modules/.installed" 2>/dev/null)" != "$lock" ] || return 0
    quietly "npm packages in $(realpath --relative-to="$checkout" "$dir" | sed 's/^\.$/the checkout/'): installing" \
        npm ci --prefix "$dir" --ignore-scripts --no-audit --no-fund
    printf '%s\n' "$lock" >"$dir/node_modules/.installed"
}
npm_ci "$checkout"
found "Node.js $(node --version | tr -d v)"
