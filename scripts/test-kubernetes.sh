#!/usr/bin/env bash
# The tests of steps as Jobs of a Kubernetes cluster: those of the executor alone, and those of the whole program.
#   KUBECONFIG=… scripts/test-kubernetes.sh [arguments of cargo nextest]
#   SLIPWAY_TEST_CLUSTER='…/cluster.sh' scripts/test-kubernetes.sh
# KUBECONFIG names the admin of a cluster of one node, which is this machine; the command SLIPWAY_TEST_CLUSTER is called
# with `up`, after which it prints the path of such a file as its last line, and with `down` in the end. The node has the
# image SLIPWAY_TEST_IMAGE (busybox:local), and fetches none. Two things may be missing, and with them their tests:
#   SLIPWAY_TEST_KUBELET       the process id of the node's kubelet, or kubelet.pid beside the kubeconfig: it is stopped for
#                              a while, as when the machine is gone
#   SLIPWAY_TEST_PYTHON_IMAGE  an image on the node with a shell, python3, nbclient, ipykernel and kfp
. "$(dirname "$0")/say.sh"
cd "$checkout"
"$checkout/scripts/setup.sh" test-kubernetes
tests=(-p kubernetes -p server --run-ignored only)
wanted="package(kubernetes) | test(/^kubernetes::/)"
quietly "Tests of jobs: compiling" linted cargo nextest run "${tests[@]}" -E "$wanted" --no-run
if [ -z "${KUBECONFIG:-}" ]; then
    [ -n "${SLIPWAY_TEST_CLUSTER:-}" ] || fail "Which cluster? Set KUBECONFIG, or SLIPWAY_TEST_CLUSTER to a command that starts one."
    trap 'bash -c "$SLIPWAY_TEST_CLUSTER down" >/dev/null 2>&1 || true' EXIT
    trap 'exit 130' INT TERM HUP
    say "Cluster: starting"
    KUBECONFIG=$(bash -c "$SLIPWAY_TEST_CLUSTER up" | tail -n 1)
    export KUBECONFIG
fi
without() { # NAME WHAT
    wanted="($wanted) - test(/$1/)"
    say "Left out: what needs $2"
}
kubelet=$(dirname "$KUBECONFIG")/kubelet.pid
[ -n "${SLIPWAY_TEST_KUBELET:-}" ] || [ ! -f "$kubelet" ] || SLIPWAY_TEST_KUBELET=$(<"$kubelet")
export SLIPWAY_TEST_KUBELET
[ -n "${SLIPWAY_TEST_KUBELET:-}" ] || without a_node_that_is_silent "the node's kubelet (SLIPWAY_TEST_KUBELET)"
[ -n "${SLIPWAY_TEST_PYTHON_IMAGE:-}" ] || without in_python "an image with Python (SLIPWAY_TEST_PYTHON_IMAGE)"
linted "$checkout/scripts/test-postgres.sh" cargo nextest run "${tests[@]}" -E "$wanted" "$@"
