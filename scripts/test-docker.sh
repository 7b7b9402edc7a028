#!/usr/bin/env bash
# The tests of steps in containers, with a private Docker engine that is started for them and ended afterwards.
#   scripts/test-docker.sh [arguments of cargo nextest]
# Those of the executor alone, and those of the whole program.
# The engine needs root. It listens on a socket only, in a folder of its own, and makes no network. Another that runs is
# not touched. Images come from no registry: one is made from busybox.
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
