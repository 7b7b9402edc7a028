# shellcheck shell=bash
# The packages of the browser tests, Playwright among them.

npm_ci "$checkout/end2end"
