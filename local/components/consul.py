"""Consul: the one on PATH, else the one that bootstrap.sh unpacked; a single server that keeps its data on disk.

It asks everybody who they are: what each may is in `local.consul_access`, put there whenever it is looked after.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from local import probes, works
from local.addresses import url
from local.components.base import Component, Launch
from local.consul_access import NODE, ConsulAccess, guard, token_header
from local.ports import LOOPBACK
from local.site import Site

FIRST_WITH_GRPC_TLS: Final = (1, 14)


def binary(site: Site) -> Path | None:
    """The program to run; None where there is none."""
    found = shutil.which("consul", path=site.environ.get("PATH"))
    unpacked = site.layout.cache / "consul" / "usr" / "bin" / "consul"
    if found:
        return Path(found)
    return unpacked if unpacked.exists() else None


class Consul(Component):
    """Service discovery and run-time settings. The suite can do without: services then use fixed addresses."""

    name = "consul"
    ports = ("consul", "consul_dns", "consul_server", "consul_serf")
    patience_seconds = 15.0  # an older one takes seconds from its first answer until it knows the management token

    def absence(self, site: Site) -> str | None:
        if binary(site) is None:
            return "no consul on PATH and none could be fetched: services find each other at FIXED addresses"
        return None

    def folders(self, site: Site) -> tuple[Path, ...]:
        return (site.layout.home / "consul",)

    def reads(self, site: Site) -> tuple[Path, ...]:
        program = binary(site)
        return (program,) if program else ()

    def launch(self, site: Site) -> Launch:
        program = binary(site)
        file = site.layout.home / "consul" / "consul.json"
        configuration = json.dumps(_configuration(site, _version(program)), indent=2)
        command = (str(program), "agent", f"-config-file={file}")
        return Launch(command, site.process_environment(), {file: configuration})

    def probe(self, site: Site) -> None:
        probes.consul_leader(url(site, "consul"))

    def verify(self, site: Site) -> None:
        management = site.secrets.consul_management
        ConsulAccess(url(site, "consul"), management).put()
        works.consul(url(site, "consul"), token_header(management))


def _version(program: Path | None) -> tuple[int, int]:
    answer = subprocess.run([str(program), "version"], capture_output=True, text=True, timeout=10, check=False)
    found = re.search(r"v(\d+)\.(\d+)", answer.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _configuration(site: Site, version: tuple[int, int]) -> dict[str, Any]:
    closed = {"grpc": -1, "https": -1, "serf_wan": -1} | ({"grpc_tls": -1} if version >= FIRST_WITH_GRPC_TLS else {})
    opened = {
        "http": site.ports["consul"],
        "dns": site.ports["consul_dns"],
        "server": site.ports["consul_server"],
        "serf_lan": site.ports["consul_serf"],
    }
    return {
        "server": True,
        "bootstrap_expect": 1,
        "node_name": NODE,
        "data_dir": str(site.layout.home / "consul" / "data"),
        "bind_addr": LOOPBACK,
        "client_addr": LOOPBACK,
        "ports": opened | closed,
        "performance": {"raft_multiplier": 1},
        "dns_config": {"only_passing": True},
        "disable_update_check": True,
        "log_level": "WARN",
    } | guard(site.secrets.consul_management, version)
