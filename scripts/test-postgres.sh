#!/usr/bin/env bash
# Runs a command with a private, throw-away PostgreSQL server, and stops and deletes that server afterwards:
#   scripts/test-postgres.sh cargo nextest run -p store
# The command finds it in SLIPWAY_TEST_DATABASE_URL; tests create their own databases there.
# The server listens on a socket only, in a folder that only its own user may enter, and keeps nothing safe from a
# power cut: everything in it is made up. Several can run at once.
# With --durable first it writes as one that people rely on does, which is what a measurement needs.
. "$(dirname "$0")/say.sh"
durable=
if [ "${1:-}" = --durable ]; then
    durable=yes
    shift
fi
[ $# -gt 0 ] || fail "scripts/test-postgres.sh: say which command to run"
[ -n "$durable" ] || [ -z "${SLIPWAY_TEST_DATABASE_URL:-}" ] || exec "$@"

bin=$("$checkout/scripts/postgres-bin.sh") || fail "PostgreSQL is missing: make setup"

# The server refuses to run as root; the folder must then be one that its user reaches, which root's home is not.
# The path is short because a socket's may have a hundred characters or so.
as_server=(env)
owner=$(id -un)
if [ "$(id -u)" -eq 0 ]; then
    owner=postgres
    as_server=(setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/tmp)
fi

stop() { # FOLDER
    # Nobody needs a clean shutdown of a database that is deleted next.
    "${as_server[@]}" "$bin/pg_ctl" stop --silent --mode=immediate --pgdata="$1/data" >/dev/null 2>&1 || true
    rm -rf "$1"
}

# One that a killed run left behind: its folder names the run that is no more.
for left in /tmp/slipway-pg-*; do
    [ -O "$left" ] || [ "$(id -u)" -eq 0 ] || continue
    run=${left##*-pg-}
    run=${run%%.*}
    [ -d "$left" ] && ! kill -0 "$run" 2>/dev/null && stop "$left"
done

folder=$(mktemp -d "/tmp/slipway-pg-$$.XXXXXX")
trap 'stop "$folder"' EXIT
trap 'exit 130' INT TERM HUP
chown "$owner" "$folder"

start() {
    "${as_server[@]}" "$bin/initdb" --no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C.UTF-8 --pgdata="$folder/data"
    cat >>"$folder/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$folder'
max_connections = 300
shared_buffers = 256MB
CONF
    [ -n "$durable" ] || cat >>"$folder/data/postgresql.conf" <<CONF
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
autovacuum_naptime = 10min
bgwriter_lru_maxpages = 0
checkpoint_timeout = 1h
max_wal_size = 4GB
CONF
    "${as_server[@]}" "$bin/pg_ctl" start --wait --silent --pgdata="$folder/data" --log="$folder/log"
}
cd /
quietly "PostgreSQL of its own, to be thrown away: starting" start
cd "$OLDPWD"

export SLIPWAY_TEST_DATABASE_URL="postgres://postgres@localhost/postgres?host=$folder"
"$@"
