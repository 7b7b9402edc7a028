#!/usr/bin/env bash
# Installs what is missing, builds the release and becomes it:
#   scripts/run.sh         the server
#   scripts/run.sh demo    the demo, against the server at $SLIPWAY_URL
# LISTEN and DATA_DIR are short for the options; every option has a variable of its own too (slipway serve --help).
. "$(dirname "$0")/say.sh"
cd "$checkout"

"$checkout/scripts/build.sh"
slipway=$CARGO_TARGET_DIR/release/slipway
case ${1:-serve} in
    # Replaces this shell: Ctrl-C and `kill` reach the server itself.
    serve) exec "$slipway" serve ${LISTEN:+--listen "$LISTEN"} ${DATA_DIR:+--data-dir "$DATA_DIR"} ;;
    demo) exec "$slipway" demo ${LISTEN:+--url "http://$LISTEN"} ${DATA_DIR:+--data-dir "$DATA_DIR"} ;;
    *) fail "scripts/run.sh: say nothing or demo, not \"$1\"" ;;
esac
