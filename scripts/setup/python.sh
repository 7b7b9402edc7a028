# shellcheck shell=bash
# Python with venv: pipelines and the demo prepare their own environments with it.

have python3 || install_packages "Python" python3 python3-venv
python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages "Python's venv" python3-venv
found "$(python3 --version)"
