# shellcheck shell=bash
# A Docker engine and what its images are made from. No engine is started, none that runs is touched.

export PATH=$PATH:/usr/sbin
have dockerd || install_packages "A Docker engine" docker.io
if [ ! -e /bin/busybox ] || ldd /bin/busybox >/dev/null 2>&1; then
    install_packages "A shell that needs nothing" busybox-static
fi
found "Docker $(dockerd --version | sed 's/[^0-9]*\([0-9.]*\).*/\1/')"
