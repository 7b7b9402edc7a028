# shellcheck shell=bash
# The ONNX Runtime library that serves models, taken out of its official Python package.
# The link $cache/onnxruntime/libonnxruntime.so is what the server looks for.

ort_version=1.32.0
library=$cache/onnxruntime/$ort_version/libonnxruntime.so.$ort_version

fetch_onnxruntime() {
    local work python=python3
    work=$(mktemp -d)
    cat >"$work/requirements.txt" <<PIN
onnxruntime==$ort_version \
    --hash=sha256:5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d \
    --hash=sha256:2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c
PIN
    if ! python3 -m pip --version; then # Debian's python3 comes without pip, but can make an environment with it
        python3 -m venv "$work/venv"
        python=$work/venv/bin/python
    fi
    # The tags are those of the pinned hashes (x86_64, aarch64), not those of this Python: only the library is wanted.
    "$python" -m pip download --no-deps --only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 \
        --platform "manylinux_2_28_$(uname -m)" --require-hashes -r "$work/requirements.txt" -d "$work"
    python3 -m zipfile -e "$work"/onnxruntime-*.whl "$work/wheel"
    mkdir -p "$(dirname "$library")"
    cp "$work/wheel/onnxruntime/capi/libonnxruntime.so.$ort_version" "$library"
    rm -rf "$work"
}
[ -s "$library" ] || quietly "ONNX Runtime $ort_version: fetching" fetch_onnxruntime
if [ "$(readlink "$cache/onnxruntime/libonnxruntime.so")" != "$ort_version/${library##*/}" ]; then
    ln -sfn "$ort_version/${library##*/}" "$cache/onnxruntime/libonnxruntime.so"
fi
found "ONNX Runtime $ort_version"
