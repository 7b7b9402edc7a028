# shellcheck shell=bash
# MLflow's own server, in an environment of its own: it brings ten times what its client does.

server=$cache/mlflow-server
server_pins=$(cat "$checkout/scripts/requirements-mlflow-server.txt")
make_server() {
    rm -rf "$server"
    python3 -m venv "$server"
    "$server/bin/pip" install --only-binary=:all: -r "$checkout/scripts/requirements-mlflow-server.txt"
}
if [ "$(cat "$server/.installed" 2>/dev/null)" != "$server_pins" ]; then
    quietly "MLflow's server, to compare with: installing" make_server
    printf '%s\n' "$server_pins" >"$server/.installed"
fi
found "MLflow server $(sed -n 's/^mlflow==//p' <<<"$server_pins")"
