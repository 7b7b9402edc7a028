#!/usr/bin/env bash
# The tests of steps as Jobs of a Kubernetes cluster.
#   KUBECONFIG=… scripts/test-kubernetes.sh [arguments of cargo nextest]
#   SLIPWAY_TEST_CLUSTER='…/cluster.sh' scripts/test-kubernetes.sh
# The cluster has one node, which is this machine, and the image SLIPWAY_TEST_IMAGE (busybox:local) is on it. The command
# SLIPWAY_TEST_CLUSTER is called with `up`, after which it prints the path of a kubeconfig as its last line, and with
# `down` in the end.
. "$(dirname "$0")/say.sh"
cd "$checkout"
"$checkout/scripts/setup.sh" test-kubernetes
quietly "Tests of jobs: compiling" linted cargo nextest run -p kubernetes --run-ignored only --no-run
if [ -z "${KUBECONFIG:-}" ]; then
    [ -n "${SLIPWAY_TEST_CLUSTER:-}" ] || fail "Which cluster? Set KUBECONFIG, or SLIPWAY_TEST_CLUSTER to a command that starts one."
    trap '"$SLIPWAY_TEST_CLUSTER" down >/dev/null 2>&1 || true' EXIT
    trap 'exit 130' INT TERM HUP
    say "Cluster: starting"
    KUBECONFIG=$("$SLIPWAY_TEST_CLUSTER" up | tail -n 1)
    export KUBECONFIG
fi
linted cargo nextest run -p kubernetes --run-ignored only "$@"
