#!/usr/bin/env bash
# The tests of steps in containers, with a private Docker engine that is started for them and ended afterwards.
#   scripts/test-docker.sh [arguments of cargo nextest]
# Those of the executor alone, those of the whole program, and the nightly example.
# The engine needs root. It listens on a socket only, in a folder of its own, and makes no network. Another that runs is
# not touched. Images come from no registry: one is made from busybox, and that of the example, by its Dockerfile, from the
# Python and the packages of the tests.
. "$(dirname "$0")/say.sh"
cd "$checkout"
"$checkout/scripts/setup.sh" test-docker
export PATH=$PATH:/usr/sbin
[ "$(id -u)" -eq 0 ] || fail "scripts/test-docker.sh: a Docker engine needs root. Run it as root."
tests=(-p docker -p server --run-ignored only -E "package(docker) | test(/^containers::/)")
quietly "Tests of containers: compiling" linted cargo nextest run "${tests[@]}" --no-run

folder=$(mktemp -d /tmp/slipway-docker.XXXXXX)
stop() {
    local pid
    if pid=$(cat "$folder/pid" 2>/dev/null); then
        docker ps --all --quiet | xargs --no-run-if-empty docker rm --force >/dev/null 2>&1 || true
        # The watches over them see that they are gone while there is an engine to ask.
        for _ in $(seq 150); do
            pgrep --full "watch $folder/docker.sock" >/dev/null || break
            sleep 0.1
        done
        pkill --signal KILL --full "watch $folder/docker.sock" || true
        kill "$pid" && while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    fi
    ! mountpoint --quiet "$folder/exec/netns/default" || umount "$folder/exec/netns/default"
    rm -rf --one-file-system "$folder"
}
trap stop EXIT
trap 'exit 130' INT TERM HUP

export DOCKER_HOST=unix://$folder/docker.sock
start() {
    setsid dockerd --host "$DOCKER_HOST" --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" \
        --bridge none --iptables=false --ip6tables=false >"$folder/log" 2>&1 </dev/null &
    for _ in $(seq 100); do
        ! docker info >/dev/null 2>&1 || break
        sleep 0.2
    done
    docker info || { cat "$folder/log"; return 1; }
    mkdir -p "$folder/image/bin"
    cp /bin/busybox "$folder/image/bin/"
    "$folder/image/bin/busybox" --list | while read -r name; do
        [ "$name" = busybox ] || ln -s busybox "$folder/image/bin/$name"
    done
    tar --directory "$folder/image" --create . | docker import - slipway-test:1
}
quietly "Docker engine of its own: starting" start
export SLIPWAY_TEST_DOCKER=$folder/docker.sock SLIPWAY_TEST_IMAGE=slipway-test:1
linted "$checkout/scripts/test-postgres.sh" cargo nextest run "${tests[@]}" "$@"

nightly() {
    local root=$folder/python
    "$cache/python-test/bin/python" scripts/python-image.py "$root" examples/nightly/requirements.txt
    cp -a "$folder/image/bin" "$root/"
    tar --directory "$root" --create . | docker import - slipway-python:1
    rm -rf "$root"
    # Its packages are there already, at the versions that it pins: nothing is fetched.
    DOCKER_BUILDKIT=0 docker build --network none --build-arg PYTHON=slipway-python:1 --tag slipway-nightly:1 examples/nightly
}
quietly "Image of the nightly example: building" nightly
export SLIPWAY_TEST_NIGHTLY_IMAGE=slipway-nightly:1 SLIPWAY_BIN=$CARGO_TARGET_DIR/debug/slipway
"$cache/python-test/bin/python" -m pytest --quiet end2end/nightly/test_docker.py
