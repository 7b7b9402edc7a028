# shellcheck shell=bash
# The PostgreSQL server programs, with the extension hstore. No server is started, none that runs is touched.

# Debian's package would make a cluster while it is installed, and start it on port 5432. A setting of its own says no for
# that long; the next version's cluster is again the administrator's business.
install_programs() {
    local settings=/etc/postgresql-common/createcluster.d status=0
    as_root mkdir -p "$settings"
    echo "create_main_cluster = false" | as_root tee "$settings/slipway-setup.conf"
    apt_install "$@" || status=$?
    as_root rm "$settings/slipway-setup.conf"
    return $status
}

hstore_there() { [ -e "$("$1/pg_config" --sharedir 2>/dev/null)/extension/hstore.control" ] ||
    [ -e "/usr/share/postgresql/$2/extension/hstore.control" ]; }

bin=$("$checkout/scripts/postgres-bin.sh") || {
    installer=install_programs install_packages "PostgreSQL" postgresql postgresql-contrib
    bin=$("$checkout/scripts/postgres-bin.sh") || fail "PostgreSQL was installed, but its server programs are not where they are looked for."
}
version=$("$bin/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
[ "$version" -ge 14 ] || fail "PostgreSQL 14 or newer is needed; $bin has $version."
hstore_there "$bin" "$version" || installer=install_programs install_packages "PostgreSQL's extension hstore" postgresql-contrib
found "PostgreSQL $version"
