#!/usr/bin/env bash
# Makes the secrets that compose.yaml mounts, once: a file that exists is kept, so running this again after an upgrade
# adds what the new version needs and changes nothing else.
#
#   deploy/compose/secrets.sh [DIRECTORY]     default: .local/compose-secrets, where compose.yaml looks
#
# The directory is closed to other users of this machine. The files in it are readable, because a container runs under
# a user of its own, and the file it is given keeps the mode it has here.
set -euo pipefail

directory=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/.local/compose-secrets}
mkdir -p "$directory"
chmod 700 "$directory"
cd "$directory"
umask 077

key() { head -c 32 /dev/urandom | base64 -w 0 | tr '+/' '-_'; }
password() { # 238 bits in letters and digits: needs no quoting anywhere and never looks like an option
    local text
    text=$(head -c 64 /dev/urandom | base64 -w 0 | tr -dc 'A-Za-z0-9')
    printf '%s' "${text:0:40}"
}

made=0
secret() { # secret NAME VALUE: the file appears whole or not at all
    [ ! -e "$1" ] || return 0
    printf '%s' "$2" >".$1.new"
    chmod 444 ".$1.new"
    mv -n ".$1.new" "$1"
    made=$((made + 1))
}

# --- What is only random ----------------------------------------------------------------------------------------------
for name in postgres_password postgres_auth_password postgres_tasks_password redis_password rabbitmq_password \
    neo4j_password cursor_secret api_key_pepper audit_key admin_password client_secret_agents client_secret_chat \
    client_secret_vectors client_secret_tasks; do
    secret "$name" "$(password)"
done
secret key_encryption_key "$(key)"

# --- The same again, in the form in which each program wants it ----------------------------------------------------------
secret auth_database_url "postgresql+asyncpg://auth:$(<postgres_auth_password)@postgres:5432/"
secret tasks_database_url "postgresql+asyncpg://tasks:$(<postgres_tasks_password)@postgres:5432/"
secret redis_auth "requirepass $(<redis_password)"$'\n'
secret redis_url "redis://:$(<redis_password)@redis:6379/0"
secret rabbitmq_auth "default_user = sutazai"$'\n'"default_pass = $(<rabbitmq_password)"$'\n'"default_vhost = sutazai"$'\n'
secret rabbitmq_url "amqp://sutazai:$(<rabbitmq_password)@rabbitmq:5672/sutazai"
secret neo4j_auth "neo4j/$(<neo4j_password)"
clients=()
for name in agents chat vectors tasks; do
    clients+=("\"$name\": \"$(<client_secret_$name)\"")
done
secret service_client_secrets "{$(IFS=,; echo "${clients[*]}")}"

echo "$made secrets made, the others kept, in $directory"
