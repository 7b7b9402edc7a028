# shellcheck shell=bash
# The Rust toolchain that rust-toolchain.toml names, and a C compiler for the crates that build C.

wanted=$(sed -n 's/^channel = "\(.*\)"/\1/p' "$checkout/rust-toolchain.toml")

install_rustup() {
    curl --proto '=https' --tlsv1.2 --silent --show-error --fail https://static.rust-lang.org/rustup/rustup-init.sh |
        sh -s -- -y --no-modify-path --profile minimal --default-toolchain none
}
if ! have cargo; then
    have curl || install_packages "curl (fetches Rust)" curl ca-certificates
    hint="Install Rust $wanted (https://rustup.rs) and try again." quietly "Rust: installing rustup" install_rustup
fi

cd "$checkout"
# Not installed on the quiet by that very question, but with a line that says so.
if have rustup && ! RUSTUP_AUTO_INSTALL=0 rustc --version >/dev/null 2>&1; then
    quietly "Rust $wanted: installing" rustup toolchain install "$wanted" --profile minimal --component clippy --component rustfmt
fi
rust=$(rustc --version | cut -d' ' -f2)
[ "$(printf '%s\n' "$wanted" "$rust" | sort -V | head -n 1)" = "$wanted" ] ||
    fail "Rust $wanted or newer is needed; rustc here is $rust. Install it with rustup (https://rustup.rs)."

have cc || install_packages "a C compiler" build-essential
found "Rust $rust"
