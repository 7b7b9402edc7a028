#!/usr/bin/env bash
# Every test there is, against a throw-away PostgreSQL server, and one line of totals at the end.
#   scripts/test.sh [rust|python|browser]...    these parts alone, and nothing installed that others need
#   scripts/test.sh mlflow                      the differential test alone, with MLflow's server, which is large; once that
#                                               is installed, the part python has this test too
# (--prepared is what it calls itself with once everything is built and the server is there.)
. "$(dirname "$0")/say.sh"
cd "$checkout"

if [ "${1:-}" != --prepared ]; then
    parts=(rust python browser)
    [ $# -eq 0 ] || parts=("$@")
    for part in "${parts[@]}"; do
        [[ $part =~ ^(rust|python|browser|mlflow)$ ]] ||
            fail "scripts/test.sh: the parts are rust, python, browser and mlflow, not \"$part\""
    done
    "$checkout/scripts/setup.sh" "${parts[@]/#/test-}"
    "$checkout/scripts/build-web.sh"
    # What the runner would build. All parts build the same, so that one after the other compiles nothing again.
    quietly "Tests: compiling" linted cargo test --no-run
    # Memory in large pages, as the compiler's is (say.sh), the database's too. Python takes its own from the system then,
    # and MLflow's client loads in half the time. SLIPWAY_STEP_ENV has the steps of pipelines do the same.
    export GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.top_pad=33554432 PYTHONMALLOC=malloc
    export SLIPWAY_STEP_ENV=PYTHONMALLOC,GLIBC_TUNABLES
    exec "$checkout/scripts/test-postgres.sh" "$checkout/scripts/test.sh" --prepared "${parts[@]}"
fi
shift
parts=("$@")

# What the tests of the whole program start and drive.
export SLIPWAY_BIN=$CARGO_TARGET_DIR/debug/slipway
results=$checkout/test-results
rm -rf "$results"
mkdir -p "$results"
failed=()

run_part() {
    case $1 in
        rust)
            local profile=${NEXTEST_PROFILE:-default} status=0
            linted cargo nextest run --profile "$profile" || status=$?
            mv "$results/$profile/rust.xml" "$results/"
            return $status
            ;;
        python)
            # The longest first: nothing waits for them in the end.
            "$cache/python-test/bin/python" -m pytest --quiet --numprocesses=2 --dist=loadfile --no-loadscope-reorder \
                --junitxml="$results/python.xml" \
                end2end/demo/test_walk.py end2end/nightly/test_nightly.py end2end/demo/test_training.py end2end/*/test_*.py
            ;;
        mlflow)
            "$cache/python-test/bin/python" -m pytest --quiet --junitxml="$results/mlflow.xml" end2end/differential
            ;;
        browser)
            (cd end2end && CHROMIUM_PATH=$("$checkout/scripts/chromium-bin.sh") \
                PLAYWRIGHT_JUNIT_OUTPUT_FILE=$results/browser.xml node_modules/.bin/playwright test --reporter=list,junit)
            ;;
    esac
}
for part in "${parts[@]}"; do
    say "Tests: $part"
    began=$SECONDS
    # All parts run, so that one look shows everything that is wrong.
    run_part "$part" || failed+=("$part")
    say "Tests: $part took $((SECONDS - began)) s"
done
shopt -s nullglob
python3 "$checkout/scripts/test-totals.py" "$results"/*.xml
[ ${#failed[@]} -eq 0 ] || fail "Failed: ${failed[*]}"
