# shellcheck shell=bash
# Sourced by say.sh: where cargo builds, as CARGO_TARGET_DIR.
#
# Outside the checkout, so that a fresh clone is not a cold build. But cargo tells our crates apart by their place in the
# workspace only, and takes for fresh what another checkout built after this one's last change. So a folder belongs to
# one checkout at a time; one that changes hands forgets our crates and keeps all others.
# shellcheck disable=SC2154 # say.sh sets what is used here

# A new folder starts with what another has of others' crates. Compiled crates are replaced and never written into, so a
# link will do. What cargo notes of them is copied, and first: it must not speak of what is not there.
seed_target() { # FROM
    local from=$1 part
    while read -r part; do
        mkdir -p "$CARGO_TARGET_DIR/$part"
        cp -a "$from/$part/.fingerprint" "$from/$part/build" "$CARGO_TARGET_DIR/$part/"
        cp -al "$from/$part/deps" "$CARGO_TARGET_DIR/$part/"
    done < <(cd "$from" && find . -maxdepth 4 -name .fingerprint -printf '%h\n')
}
forget_gone_checkouts() {
    local folder
    for folder in "$cache"/target-*; do
        [ ! -e "$folder/.checkout" ] || [ -e "$(cat "$folder/.checkout")/Cargo.toml" ] || rm -rf "$folder"
    done
}
claim_target() {
    local owner ours own
    if [ -z "${CARGO_TARGET_DIR:-}" ]; then
        CARGO_TARGET_DIR=$cache/target
        own=$cache/target-$(sha256sum <<<"$checkout" | cut -c1-8)
        owner=$(cat "$CARGO_TARGET_DIR/.checkout" 2>/dev/null || true)
        if [ -e "$own" ]; then
            CARGO_TARGET_DIR=$own
        # A second checkout beside the first.
        elif [ "${owner:-$checkout}" != "$checkout" ] && [ -e "$owner/Cargo.toml" ]; then
            CARGO_TARGET_DIR=$own
            forget_gone_checkouts
            seed_target "$cache/target"
        fi
    fi
    export CARGO_TARGET_DIR
    mkdir -p "$CARGO_TARGET_DIR"
    owner=$(cat "$CARGO_TARGET_DIR/.checkout" 2>/dev/null || true)
    if [ "$owner" != "$checkout" ]; then
        ours=$( (cd "$checkout" && find app frontend server crates -maxdepth 2 -name Cargo.toml -printf '%h\n' 2>/dev/null; true) |
            sed 's,.*/,,' | paste -sd '|')
        find "$CARGO_TARGET_DIR" -regextype posix-extended -type d -regex ".*/\.fingerprint/($ours)-[0-9a-f]{16}" -prune \
            -exec rm -rf {} +
        printf '%s\n' "$checkout" >"$CARGO_TARGET_DIR/.checkout"
    fi
    # For people: target/release/slipway.
    if [ -L "$checkout/target" ] || [ ! -e "$checkout/target" ]; then
        ln -sfn "$CARGO_TARGET_DIR" "$checkout/target"
    fi
}
claim_target

