#!/usr/bin/env bash
# Makes a fresh Debian 12 able to run the suite: Python environment, Debian packages, Neo4j's artifacts, Consul.
# Everything is done once and kept; when it is all there this takes a fraction of a second. Safe to repeat and to
# interrupt: a piece counts as done only when it is whole.
#
#   SUTAZAI_CACHE   where downloads are kept (default: .local/cache)
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${SUTAZAI_CACHE:-$repository/.local/cache}
venv=$repository/.venv
lock=$repository/requirements/all.txt
peer_venv=$repository/.local/bench-peers
peer_lock=$repository/requirements/bench.txt
load_venv=$repository/.local/load
load_lock=$repository/requirements/load.txt
pom=$repository/local/neo4j/pom.xml
logs=$cache/logs
mkdir -p "$logs"

say() { printf '  %s\n' "$*"; }
die() { printf 'bootstrap: %s\n' "$*" >&2; exit 1; }
digest() { cat "$@" | sha256sum | cut -d' ' -f1; }
is_stamped() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

retried() { # retried TIMES COMMAND…: the registries behind these commands sometimes fail for a moment
    local left=$1
    shift
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 2
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# --- Debian packages -------------------------------------------------------------------------------------------------

has_java() { grep -qsE '^JAVA_VERSION="(17|21)\.' /usr/lib/jvm/*/release; } # what Neo4j 5 runs on

missing_packages() {
    [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || echo rabbitmq-server
    has_java || echo openjdk-17-jre-headless
    has_jars || command -v mvn >/dev/null || echo maven
    command -v setpriv >/dev/null || echo util-linux
    command -v openssl >/dev/null || echo openssl
    command -v useradd >/dev/null || echo passwd
}

install_packages() {
    command -v apt-get >/dev/null || die "this is no Debian: install $* yourself, then run this again"
    try_install "$@" || { retried 3 as_root apt-get -q update && retried 3 try_install "$@"; }
}

try_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends "$@"
}

# The broker's package starts a broker of its own, on the ports that every other broker wants. A new one is kept from
# starting, now and at the next boot; one that was here before is left alone.
install_without_services() {
    local policy=/usr/sbin/policy-rc.d had_policy=yes failed=0
    if [ ! -e "$policy" ]; then
        had_policy=no
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    install_packages "$@" || failed=1
    [ "$had_policy" = yes ] || as_root rm -f "$policy"
    if [ -d /run/systemd/system ] && [[ " $* " == *" rabbitmq-server "* ]]; then
        as_root systemctl disable --now rabbitmq-server.service epmd.socket || true # not enabled is as good
    fi
    return "$failed"
}

debian_packages() {
    local packages
    mapfile -t packages < <(missing_packages)
    [ "${#packages[@]}" = 0 ] || install_without_services "${packages[@]}"
}

# --- Neo4j -----------------------------------------------------------------------------------------------------------

has_jars() { is_stamped "$cache/neo4j/.stamp" "$(digest "$pom")"; }

neo4j_jars() {
    has_jars && return
    rm -rf "$cache/neo4j.new"
    retried 3 timeout 300 mvn -q -B -f "$pom" dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$cache/neo4j.new"
    digest "$pom" >"$cache/neo4j.new/.stamp"
    rm -rf "$cache/neo4j"
    mv "$cache/neo4j.new" "$cache/neo4j"
}

packages_then_jars() {
    debian_packages
    neo4j_jars
}

# A JVM that finds its classes already parsed starts the server in half the time. Depends on the JVM and on the jars.
archive_stamp() { digest "$pom" "$repository"/local/neo4j/*.py /usr/lib/jvm/*/release; }
has_archive() { is_stamped "$cache/neo4j/.archive" "$(archive_stamp)"; }

class_archive() {
    has_archive && return
    archive_stamp >"$cache/neo4j/.archive" # first: without an archive it works too, and is not tried again
    cd "$repository"
    timeout --kill-after=5 180 "$venv/bin/python" -m local.neo4j.archive "$cache/neo4j"
}

# --- Consul ----------------------------------------------------------------------------------------------------------

# Where none could be had, it is looked for again a day later.
has_consul() {
    command -v consul >/dev/null || [ -x "$cache/consul/usr/bin/consul" ] ||
        [ -n "$(find "$cache/consul.missing" -mmin -1440 2>/dev/null)" ]
}

# The last Debian release that carried Consul, from the mirror this system uses, through an apt of its own: the system's
# package lists and sources stay as they are, and the package is unpacked, not installed.
consul_package() {
    local apt=$cache/apt mirror codename
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v release="$codename" '$2 == release && $3 == "main" { print $1; exit }')
    [ -n "$mirror" ] || return 1
    mkdir -p "$apt/lists/partial" "$apt/archives/partial"
    : >"$apt/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bullseye main" >"$apt/sources.list"
    local options=(
        -q -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State="$apt"
        -o Dir::State::Lists="$apt/lists" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt"
        -o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
    )
    retried 3 apt-get "${options[@]}" update
    (cd "$apt" && retried 3 apt-get "${options[@]}" download consul)
    rm -rf "$cache/consul.new" "$cache/consul"
    dpkg-deb -x "$apt"/consul_*.deb "$cache/consul.new"
    mv "$cache/consul.new" "$cache/consul"
    rm -rf "$apt"
}

consul_program() {
    has_consul && return
    touch "$cache/consul.missing"
    consul_package
    rm "$cache/consul.missing"
}

# --- Python ----------------------------------------------------------------------------------------------------------

has_environment() { [ -x "$1/bin/python" ] && is_stamped "$1/.lock-digest" "$(digest "$2")"; }
has_venv() { has_environment "$venv" "$lock"; }

find_python() { # one that the users of the servers may run, where there is one; root's own may lie in root's home
    local candidate found any=
    for candidate in python3.11 python3 python3.12 python3.13 python3.14 /usr/bin/python3; do
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        found=$("$candidate" -c 'import sys; print(sys.executable)')
        if everybody_runs "$found"; then
            echo "$found"
            return
        fi
        any=${any:-$found}
    done
    [ -n "$any" ] && echo "$any"
}

everybody_runs() {
    [ "$(id -u)" != 0 ] || setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$1"
}

find_uv() {
    local candidate
    for candidate in uv "$cache/tools/bin/uv" "$HOME/.local/bin/uv"; do
        if "$candidate" --version >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

install_uv() { # into an environment of its own: the system's Python is not touched
    local python=$1
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
    rm -rf "$cache/tools"
    "$python" -m venv "$cache/tools"
    retried 3 "$cache/tools/bin/pip" install -q --disable-pip-version-check 'uv>=0.9'
}

environment() { # environment DIRECTORY LOCK
    has_environment "$@" && return
    local python uv
    python=$(find_python) || die "no Python 3.11 or newer found"
    find_uv >/dev/null || install_uv "$python"
    uv=$(find_uv)
    "$1/bin/python" -c '' 2>/dev/null || "$uv" -q venv --clear --no-python-downloads --python "$python" "$1"
    # Compiled here, once: else each of the processes that start side by side compiles all that it imports.
    retried 3 "$uv" -q pip sync --python "$1/bin/python" --compile-bytecode --require-hashes "$2"
    digest "$2" >"$1/.lock-digest"
}

python_environment() { environment "$venv" "$lock"; }

# What `bench/` compares us with; nothing else needs it, so only the benchmark asks for it.
peer_environment() { environment "$peer_venv" "$peer_lock"; }

# What loads a suite; nothing else needs it, so only who loads one asks for it.
load_environment() { environment "$load_venv" "$load_lock"; }

# What `make test-faults` puts clocks wrong with; nothing else needs it, so only that asks for it.
fault_tools() { compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || install_packages libfaketime; }

# --- All of it -------------------------------------------------------------------------------------------------------

step() { # step NAME FUNCTION: runs it with its output in a log, and says how it went
    local name=$1 log=$logs/$2.log began=$EPOCHSECONDS
    # A process of its own, because `set -e` has no effect in a function that is called from a condition.
    if bash "${BASH_SOURCE[0]}" "$2" >"$log" 2>&1; then
        say "✓ $name ($((EPOCHSECONDS - began)) s)"
    else
        say "✗ $name failed; the last lines of $log:"
        tail -n 8 "$log" | sed 's/^/      /'
        return 1
    fi
}

is_complete() { has_venv && has_jars && has_archive && has_consul && [ -z "$(missing_packages)" ]; }

main() {
    is_complete && return
    exec 9>"$cache/bootstrap.lock"
    flock 9
    is_complete && return
    echo "preparing this machine (once; downloads are kept in $cache)"
    if [ -n "$(missing_packages)" ] && [ "$(id -u)" != 0 ]; then
        sudo -v || die "run as root: apt-get install --no-install-recommends" $(missing_packages)
    fi
    local failed=0 consul_pid packages_pid
    # What needs the package manager comes first, as it has one lock; then the downloads run side by side.
    step 'Consul' consul_program & consul_pid=$!
    step 'packages and Neo4j artifacts' packages_then_jars & packages_pid=$!
    step 'Python environment' python_environment || failed=1
    wait "$packages_pid" || failed=1
    wait "$consul_pid" || say '! without Consul the services find each other at fixed addresses'
    [ "$failed" = 0 ] || die 'this machine could not be prepared'
    step 'Neo4j class archive' class_archive || say '! Neo4j will start more slowly'
}

"${1:-main}"
