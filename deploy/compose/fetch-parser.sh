#!/usr/bin/env bash
# Unpacks Docker Compose from Debian 13, which reads and checks compose.yaml on a machine that has no container engine.
# Nothing is installed: an apt of its own takes the package from the mirror this system uses, and the system's package
# lists and sources stay as they are. Safe to repeat and to interrupt.
#
#   deploy/compose/fetch-parser.sh DIRECTORY     prints the program's path
set -euo pipefail

directory=${1:?usage: fetch-parser.sh DIRECTORY}
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
program=$directory/root/usr/bin/docker-compose

retried() {
    "$@" || { sleep 2 && "$@"; } || { sleep 5 && "$@"; }
}

mirror() {
    local codename
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v release="$codename" '$2 == release && $3 == "main" { print $1; exit }'
}

fetch() {
    local apt=$directory/apt options
    rm -rf "$apt" "$directory/root.new"
    mkdir -p "$apt/lists/partial" "$apt/archives/partial"
    : >"$apt/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) trixie main" >"$apt/sources.list"
    options=(
        -q -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State="$apt"
        -o Dir::State::Lists="$apt/lists" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt"
        -o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
    )
    retried apt-get "${options[@]}" update
    (cd "$apt" && retried apt-get "${options[@]}" download docker-compose)
    dpkg-deb -x "$apt"/docker-compose_*.deb "$directory/root.new"
    rm -rf "$directory/root"
    mv "$directory/root.new" "$directory/root"
    rm -rf "$apt"
}

exec 9>"$directory/lock"
flock 9
[ -x "$program" ] || fetch >&2
echo "$program"
