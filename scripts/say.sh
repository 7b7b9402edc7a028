# shellcheck shell=bash
# Sourced by the other scripts: how they speak, where they keep things, how they become root.
# What a step says is one line; what a tool printed is shown only when it failed.

set -euo pipefail
# shellcheck disable=SC2034 # for those who source it
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$HOME/.cache/slipway
# Setup puts a tool there only where PATH has none that will do.
export PATH=$cache/tools/bin:$PATH:$HOME/.cargo/bin
# In a home without toolchains, those beside the rustup that PATH has will do.
if [ -z "${RUSTUP_HOME:-}" ] && [ ! -d "$HOME/.rustup/toolchains" ] && rustup=$(command -v rustup); then
    beside=${rustup%/.cargo/bin/rustup}/.rustup
    [ ! -d "$beside/toolchains" ] || export RUSTUP_HOME=$beside
    unset beside
fi
logs=$cache/logs
mkdir -p "$logs"

# The compiler's memory in large pages, and kept: on virtual machines whose page tables are slow it takes half the time.
export MALLOC_CONF=${MALLOC_CONF:-thp:always,metadata_thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1}

# shellcheck source=target-dir.sh
. "$checkout/scripts/target-dir.sh"

say() { printf '==> %s\n' "$*"; }

fail() {
    printf '==> %s\n' "$@" >&2
    exit 1
}

# quietly TITLE COMMAND...: runs it with its output in a log file; if it fails, shows the end of that log and ends
# the script. Not for `if` or `||`: bash would then run a function past its first failed command.
quietly() {
    local title=$1 began=$SECONDS status log
    shift
    log=$logs/$(tr '[:upper:]' '[:lower:]' <<<"$title" | sed 's,[^a-z0-9][^a-z0-9]*,-,g; s,-$,,' | cut -c1-60).log
    printf '==> %s ...' "$title"
    [ ! -t 1 ] || show_progress "$title" "$log" &
    set +e
    (set -e; "$@") >"$log" 2>&1 </dev/null
    status=$?
    set -e
    [ ! -t 1 ] || { kill $! 2>/dev/null; wait $! 2>/dev/null || true; printf '\r\033[K==> %s ...' "$title"; }
    if [ "$status" -eq 0 ]; then
        printf ' %s s\n' $((SECONDS - began))
        return
    fi
    printf ' failed\n'
    tail -n 60 "$log" >&2
    fail "$title: failed (exit status $status). All it printed is in $log" ${hint:+"$hint"}
}

# On a terminal: how long it takes so far, and the last line of its log.
show_progress() {
    local began=$SECONDS line
    # Ends with the script: a background process does not hear Ctrl-C.
    while sleep 1 && kill -0 $$ 2>/dev/null; do
        line="==> $1 ... $((SECONDS - began)) s  $(tail -n 1 "$2" | tr -d '\r' | sed 's/^ *//')"
        printf '\r\033[K%s' "${line:0:$(($(tput cols 2>/dev/null || echo 80) - 1))}"
    done
}

# Where the standard library of the browser's build is, when not in the toolchain: a compiler takes that of its own version.
wasm_sysroot() { (cd "$checkout" && printf '%s' "$cache/wasm-sysroot-$(rustc --version | cut -d' ' -f2)"); }
# wasm_rustflags FLAG...: the compiler flags of the browser's build, these among them, for CARGO_ENCODED_RUSTFLAGS: a flag
# with a path may have a space in it.
wasm_rustflags() {
    local flags=("$@") sysroot IFS=$'\x1f'
    sysroot=$(wasm_sysroot)
    [ ! -d "$sysroot" ] || flags=("--sysroot=$sysroot" "$@")
    printf '%s' "${flags[*]}"
}

# linted CARGO...: with clippy for the compiler of our crates. Lints and tests then share one build: nothing is compiled to
# be looked at only.
linted() { RUSTC_WORKSPACE_WRAPPER=clippy-driver "$@"; }

# found NAME: collected into the one line that `setup.sh` ends with.
in_place=()
found() { in_place+=("$1"); }

have() { command -v "$1" >/dev/null 2>&1; }

# as_root COMMAND...: directly as root, else by sudo. `may_be_root` tells beforehand whether it can work.
may_be_root() { [ "$(id -u)" -eq 0 ] || { have sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; }; }
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# ask_for_root WHY TO_DO: has sudo ask for the password now, where it can be seen, if it has to.
ask_for_root() {
    if [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; then
        say "$1: sudo asks for your password to $2"
        sudo -v
    fi
}

# install_packages WHY PACKAGE...: Debian packages, or the exact command for somebody who may install them. Where more
# than apt-get is needed, $installer names a function that does it.
install_packages() {
    local why=$1
    shift
    have apt-get || fail "$why is missing. Install what your system calls: $*"
    may_be_root || fail "$why is missing, and this user may not install it. Ask an administrator for:" \
        "    apt-get install --yes $*"
    ask_for_root "$why" "install $*"
    quietly "$why: installing $*" "${installer:-apt_install}" "$@"
}
apt_install() {
    # A system that updates itself holds the lock for a while.
    local get=(env DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet -o DPkg::Lock::Timeout=300)
    # The lists may be old or empty: look first, refresh only if that was not enough.
    as_root "${get[@]}" install --no-install-recommends "$@" && return
    # One unreachable source must not stop the others.
    as_root "${get[@]}" update || true
    as_root "${get[@]}" install --no-install-recommends "$@"
}
