# shellcheck shell=bash
# The PostgreSQL server programs, with the extension hstore. No server is started, none that runs is touched.

hstore_there() { [ -e "$("$1/pg_config" --sharedir 2>/dev/null)/extension/hstore.control" ] ||
    [ -e "/usr/share/postgresql/$2/extension/hstore.control" ]; }

bin=$("$checkout/scripts/postgres-bin.sh") || {
    install_packages "PostgreSQL" postgresql postgresql-contrib
    bin=$("$checkout/scripts/postgres-bin.sh") || fail "PostgreSQL was installed, but its server programs are not where they are looked for."
}
version=$("$bin/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
[ "$version" -ge 14 ] || fail "PostgreSQL 14 or newer is needed; $bin has $version."
hstore_there "$bin" "$version" || install_packages "PostgreSQL's extension hstore" postgresql-contrib
found "PostgreSQL $version"
