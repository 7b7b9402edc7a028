#!/usr/bin/env bash
# Installs what is missing, each in its own step; a step that finds everything in place takes milliseconds.
#   scripts/setup.sh run             what `make run` needs
#   scripts/setup.sh image           what the Dockerfile needs to build
#   scripts/setup.sh check           what `make check` needs
#   scripts/setup.sh bench           what `make bench` needs: the load, and MLflow's server to compare with
#   scripts/setup.sh test-docker     what the tests of steps in containers need; test-kubernetes as Jobs of a cluster
#   scripts/setup.sh test-mlflow     what the differential test needs
#   scripts/setup.sh test-rust       what a part of `make test` needs; test-python and test-browser are the others
# Several can be named at once.
. "$(dirname "$0")/say.sh"

run=(rust wasm node postgres python onnxruntime)
wanted_steps=()
for purpose in "${@:-run}"; do
    case $purpose in
        run) wanted_steps+=("${run[@]}") ;;
        image) wanted_steps+=(rust wasm node python onnxruntime) ;;
        check) wanted_steps+=(rust wasm node python end2end shellcheck) ;;
        bench) wanted_steps+=(postgres python wrk mlflow-server) ;;
        test-mlflow) wanted_steps+=("${run[@]}" python-test mlflow-server) ;;
        test-kubernetes) wanted_steps+=("${run[@]}" nextest) ;;
        test-docker) wanted_steps+=("${run[@]}" nextest docker python-test) ;;
        test-rust) wanted_steps+=("${run[@]}" nextest) ;;
        test-python) wanted_steps+=("${run[@]}" python-test) ;;
        test-browser) wanted_steps+=("${run[@]}" end2end chromium python-test) ;;
        *) fail "scripts/setup.sh: say run, image, check, bench or test-<part>, not \"$purpose\"" ;;
    esac
done
taken=()
for step in "${wanted_steps[@]}"; do
    [[ " ${taken[*]} " != *" $step "* ]] || continue
    taken+=("$step")
    # Sourced, so that a step that puts something on PATH does it for the steps after it.
    # shellcheck source=/dev/null
    . "$checkout/scripts/setup/$step.sh"
done
say "Ready: $(printf '%s, ' "${in_place[@]}" | sed 's/, $//')"
