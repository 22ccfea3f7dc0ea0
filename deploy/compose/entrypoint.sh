#!/bin/sh
# Registers each replica by the address it was given: a name would be resolved by whoever asks, and the gateway asks
# Consul only.
set -eu
if [ -z "${ADVERTISE_HOST:-}" ]; then
    ADVERTISE_HOST=$(hostname -i | cut -d' ' -f1)
    export ADVERTISE_HOST
fi
exec "$@"
