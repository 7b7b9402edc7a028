# shellcheck shell=bash
# What turns the front end into WebAssembly: the standard library of that target, and wasm-bindgen.

target=wasm32-unknown-unknown
sysroot=$(rustc --print sysroot)
own_sysroot=$(wasm_sysroot)

# Where rustup cannot help, Debian's copy of this very version's library sources are built once. A toolchain that belongs to
# somebody else stays as it is: its sysroot is then extended in one of ours, which wasm_rustflags (say.sh) names.
build_wasm_std() {
    local into=$sysroot sources work
    if [ ! -w "$sysroot/lib/rustlib" ]; then
        into=$own_sysroot
        rm -rf "$into"
        mkdir -p "$into/lib/rustlib"
        ln -s "$sysroot"/lib/rustlib/* "$into/lib/rustlib/"
    fi
    sources=$into/lib/rustlib/src/rust/library
    work=$(mktemp -d)
    local own_sources=''
    if [ ! -d "$sources" ]; then
        download_rust_src "$work"
        mkdir -p "$(dirname "$sources")"
        # Under another name until it is whole.
        rm -rf "$sources.part"
        cp -r "$work"/unpacked/usr/src/rustc-*/library "$sources.part"
        mv "$sources.part" "$sources"
        own_sources=1
    fi
    mkdir -p "$work/std/src"
    printf '[package]\nname = "std-for-wasm"\nedition = "2021"\n[workspace]\n' >"$work/std/Cargo.toml"
    : >"$work/std/src/lib.rs"
    # cargo looks for the sources in the sysroot that its compiler tells.
    printf '#!/bin/sh\nexec rustc --sysroot "%s" "$@"\n' "$into" >"$work/rustc"
    chmod +x "$work/rustc"
    # From the checkout, so that rust-toolchain.toml counts.
    RUSTC=$work/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$work/target \
        cargo build --manifest-path "$work/std/Cargo.toml" --release -Zbuild-std=std,panic_abort --target $target
    rm -f "$work/target/$target/release/deps/"libstd_for_wasm-*
    mkdir -p "$into/lib/rustlib/$target/lib"
    cp "$work/target/$target/release/deps/"*.rlib "$into/lib/rustlib/$target/lib/"
    [ -z "$own_sources" ] || rm -rf "$sources"
    rm -rf "$work"
}
download_rust_src() {
    local work=$1 suite version apt
    have apt-get || return 1
    for suite in trixie-backports sid; do
        mkdir -p "$work/$suite/lists/partial" "$work/$suite/cache/archives/partial"
        printf 'deb http://deb.debian.org/debian %s main\n' "$suite" >"$work/$suite/sources.list"
        # Our own lists and sources: the system's package sources stay as they are.
        apt=(-o "Dir::Etc::SourceList=$work/$suite/sources.list" -o Dir::Etc::SourceParts=/dev/null
            -o "Dir::State::Lists=$work/$suite/lists" -o "Dir::Cache=$work/$suite/cache" -o APT::Sandbox::User=)
        apt-get "${apt[@]}" update || continue
        version=$(apt-cache "${apt[@]}" madison rust-src | awk -v want="$rust" '$3 ~ "^" want "\\+" { print $3; exit }')
        [ -n "$version" ] || continue
        (cd "$work" && apt-get "${apt[@]}" download "rust-src=$version") || continue
        dpkg-deb --extract "$work"/rust-src_*.deb "$work/unpacked"
        return 0
    done
    echo "no package rust-src of version $rust found"
    return 1
}

wasm_std_in() { compgen -G "$1/lib/rustlib/$target/lib/libcore-*.rlib" >/dev/null; }

if ! wasm_std_in "$sysroot" && ! wasm_std_in "$own_sysroot"; then
    if have rustup; then
        say "WebAssembly target: asking rustup for it"
        rustup target add $target >"$logs/rustup-target-add.log" 2>&1 || true
    fi
    wasm_std_in "$sysroot" || hint="Install the Rust target $target for rustc $rust and try again." \
        quietly "WebAssembly target: building its standard library (a minute)" build_wasm_std
fi

bindgen=$(awk '/^name = "wasm-bindgen"$/ { getline; gsub(/[^0-9.]/, ""); print; exit }' "$checkout/Cargo.lock")
if [ "$(wasm-bindgen --version 2>/dev/null)" != "wasm-bindgen $bindgen" ]; then
    # Its own lock file may name versions that a registry no longer offers, so it is not asked for.
    quietly "wasm-bindgen $bindgen: building (a few minutes)" \
        env -u CARGO_TARGET_DIR CARGO_PROFILE_DEV_DEBUG=0 \
        cargo install wasm-bindgen-cli --version "$bindgen" --bin wasm-bindgen --debug --force --root "$cache/tools"
fi
found "wasm-bindgen $bindgen"
