#!/usr/bin/env bash
# Unpacks one program of a Debian package, for a machine on which it is not installed: Docker Compose, which reads and checks
# compose.yaml without a container engine, the nginx that gateway/nginx.conf is tried on, and the Prometheus that asks our
# metrics what dashboards ask.
# Nothing is installed: an apt of its own takes the package from the mirror this system uses, and the system's package
# lists and sources stay as they are. Safe to repeat and to interrupt.
#
#   deploy/compose/fetch-program.sh DIRECTORY PACKAGE PROGRAM [RELEASE]     prints the program's path
#
# PROGRAM is its path in the package; RELEASE is Debian's, by default that of this system.
set -euo pipefail

usage='usage: fetch-program.sh DIRECTORY PACKAGE PROGRAM [RELEASE]'
directory=${1:?$usage} package=${2:?$usage} wanted=${3:?$usage}
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
release=${4:-$codename}
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
program=$directory/root/$wanted

retried() {
    "$@" || { sleep 2 && "$@"; } || { sleep 5 && "$@"; }
}

mirror() {
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v release="$codename" '$2 == release && $3 == "main" { print $1; exit }'
}

fetch() {
    local apt=$directory/apt options
    rm -rf "$apt" "$directory/root.new"
    mkdir -p "$apt/lists/partial" "$apt/archives/partial"
    : >"$apt/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) $release main" >"$apt/sources.list"
    options=(
        -q -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State="$apt"
        -o Dir::State::Lists="$apt/lists" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt"
        -o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
    )
    retried apt-get "${options[@]}" update
    (cd "$apt" && retried apt-get "${options[@]}" download "$package")
    dpkg-deb -x "$apt/$package"_*.deb "$directory/root.new"
    rm -rf "$directory/root"
    mv "$directory/root.new" "$directory/root"
    rm -rf "$apt"
}

exec 9>"$directory/lock"
flock 9
[ -x "$program" ] || fetch >&2
echo "$program"
