#!/usr/bin/env bash
# Prints the directory of PostgreSQL's server programs: the newest that a package of Debian or Red Hat put there, else the
# one on PATH. server/src/postgres/programs.rs looks at the same places.
set -euo pipefail

newest=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb |
    sed -nE 's,^.*[/-]([0-9]+)/bin/initdb$,\1 &,p' | sort -n | tail -n 1 | cut -d' ' -f2-)
initdb=${newest:-$(command -v initdb || true)}
[ -n "$initdb" ] || exit 1
dirname "$(readlink -f "$initdb")"
