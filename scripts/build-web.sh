#!/usr/bin/env bash
# Builds what browsers load into site/, which the server embeds: the WebAssembly of the islands, styles, scripts.
#   scripts/build-web.sh          optimised: what is released and what the page budget measures
#   scripts/build-web.sh --quick  for development: unoptimised, in a few seconds after a change
# The one way for make, CI and the Dockerfile. It does nothing when its inputs are those of the last time.
#
# site/pkg/<name>.<hash>.<ext>  each with .br and .gz beside it
# site/manifest.json            the hashed name of each logical one: {"main.css": "main.4f1c….css", …}
# The glue and its WebAssembly share one hash: slipway.<hash>.js and slipway.<hash>_bg.wasm, so that an
# output_name of "slipway.<hash>" is all that Leptos's HydrationScripts need.
. "$(dirname "$0")/say.sh"
cd "$checkout"

profile=wasm-release
[ "${1:-}" != --quick ] || profile=dev
work=$CARGO_TARGET_DIR/web
mkdir -p "$work" site # Not there where an image is built.

digest_of() { # PATH...: of what these files, and the files below these folders, are called and hold
    find "$@" -type f ! -name '*.snap' ! -name '*.md' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-64
}
up_to_date() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

# 1. The WebAssembly, where a change costs a minute.
bindings=$work/bindings-$profile
rust_inputs="$(digest_of Cargo.toml Cargo.lock .cargo rust-toolchain.toml app/Cargo.toml app/src frontend crates/domain scripts/build-web.sh)"
if ! up_to_date "$bindings/.inputs" "$rust_inputs"; then
    rm -f "$bindings/.inputs"
    # Erased view types compile faster and are larger. What is released does not tell whose home it was built in.
    flags=("--remap-path-prefix=$HOME=")
    [ "$profile" != dev ] || flags=(--cfg erase_components)
    quietly "Front end: compiling to WebAssembly ($profile)" \
        env CARGO_ENCODED_RUSTFLAGS="$(wasm_rustflags "${flags[@]}")" \
        cargo build -p frontend --target wasm32-unknown-unknown --profile "$profile" --target-dir "$work"
    quietly "Front end: binding it to JavaScript" \
        wasm-bindgen --target web --no-typescript --out-dir "$bindings" --out-name slipway \
        "$work/wasm32-unknown-unknown/${profile/#dev/debug}/frontend.wasm"
    if [ "$profile" = wasm-release ]; then
        # The features that rustc emits today; wasm-opt refuses what it is not told of.
        quietly "Front end: optimising for size" \
            node_modules/.bin/wasm-opt -Oz --enable-bulk-memory --enable-nontrapping-float-to-int --enable-reference-types \
            --enable-sign-ext --enable-mutable-globals --enable-multivalue \
            "$bindings/slipway_bg.wasm" -o "$bindings/optimised.wasm"
        mv "$bindings/optimised.wasm" "$bindings/slipway_bg.wasm"
    fi
    printf '%s\n' "$rust_inputs" >"$bindings/.inputs"
fi

# 2. Styles and scripts, names and compression: seconds.
asset_inputs="$profile $(digest_of "$bindings" app/style app/scripts package-lock.json scripts/web-assets.mjs)"
if ! up_to_date site/.inputs "$asset_inputs"; then
    rm -f site/.inputs
    quietly "Front end: bundling styles and scripts" node scripts/web-assets.mjs "$bindings" site
    printf '%s\n' "$asset_inputs" >site/.inputs
fi
say "Front end: $(node scripts/web-assets.mjs --sizes site)"
