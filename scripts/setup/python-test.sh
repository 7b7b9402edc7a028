# shellcheck shell=bash
# The MLflow client, what its tests train with, and the compiler of Kubeflow Pipelines, in an environment of their own.

venv=$cache/python-test
pins=$(cd "$checkout" && cat scripts/requirements-test.txt demo/requirements.txt)
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "The tests need Python 3.11 or newer; $(command -v python3) is $(python3 --version)."
make_venv() {
    rm -rf "$venv"
    python3 -m venv "$venv"
    # Of one package that kfp needs there are sources alone.
    "$venv/bin/pip" install --only-binary=:all: --no-binary=kfp-server-api -r "$checkout/scripts/requirements-test.txt"
}
if [ "$(cat "$venv/.installed" 2>/dev/null)" != "$pins" ]; then
    quietly "MLflow client and scikit-learn for the tests: installing" make_venv
    printf '%s\n' "$pins" >"$venv/.installed"
fi
found "MLflow client $(sed -n 's/^mlflow-skinny==//p' <<<"$pins")"
