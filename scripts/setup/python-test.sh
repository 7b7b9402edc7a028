# shellcheck shell=bash
# The MLflow client and what its tests train with, in an environment of their own.

venv=$cache/python-test
pins=$checkout/scripts/requirements-test.txt
make_venv() {
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --only-binary=:all: -r "$pins"
}
if [ "$(cat "$venv/.installed" 2>/dev/null)" != "$(sha256sum <"$pins")" ]; then
    quietly "MLflow client and scikit-learn for the tests: installing" make_venv
    sha256sum <"$pins" >"$venv/.installed"
fi
found "MLflow client $(sed -n 's/^mlflow-skinny==//p' "$pins")"
