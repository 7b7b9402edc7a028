#!/usr/bin/env bash
# Installs what is missing, each in its own step; a step that finds everything in place takes milliseconds.
#   scripts/setup.sh run     what `make run` needs
#   scripts/setup.sh image   what the Dockerfile needs to build
#   scripts/setup.sh check   what `make check` needs
#   scripts/setup.sh bench   what makes the load of `make bench`
#   scripts/setup.sh test    all of it: also what the tests need
. "$(dirname "$0")/say.sh"

purpose=${1:-run}
case $purpose in
    run) steps=(rust wasm node postgres python onnxruntime) ;;
    image) steps=(rust wasm node python onnxruntime) ;;
    bench) steps=(wrk) ;;
    check) steps=(rust wasm node end2end shellcheck) ;;
    test) steps=(rust wasm node postgres python onnxruntime nextest end2end chromium python-test) ;;
    *) fail "scripts/setup.sh: say run, image, check, bench or test, not \"$purpose\"" ;;
esac
for step in "${steps[@]}"; do
    # Sourced, so that a step that puts something on PATH does it for the steps after it.
    # shellcheck source=/dev/null
    . "$checkout/scripts/setup/$step.sh"
done
say "Ready: $(printf '%s, ' "${in_place[@]}" | sed 's/, $//')"
