"""Runs `gateway/kong.yml` on Envoy, for machines where Kong is not installed: `python -m gateway.envoy`."""
