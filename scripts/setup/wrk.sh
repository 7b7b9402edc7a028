# shellcheck shell=bash
# What makes the load.

have wrk || install_packages "wrk" wrk
found "wrk"
