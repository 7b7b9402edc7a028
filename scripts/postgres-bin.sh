#!/usr/bin/env bash
# Prints the directory of PostgreSQL's server programs: the newest of Debian's, else the one on PATH.
set -euo pipefail

newest=$(find /usr/lib/postgresql /usr/pgsql-* -maxdepth 3 -name initdb -path '*/bin/*' 2>/dev/null | sort -V | tail -n 1 || true)
initdb=${newest:-$(command -v initdb || true)}
[ -n "$initdb" ] || exit 1
dirname "$(readlink -f "$initdb")"
