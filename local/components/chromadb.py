"""ChromaDB's server from the `chromadb` wheel.

It asks nobody who is there. So what is ours lies in a tenant whose name is a secret: the server lists its tenants to
nobody, and what is in one is found by its name alone (docs/decisions/0035).
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from local import probes, works
from local.addresses import url
from local.components.base import Component, Launch
from local.errors import NotReady
from local.layout import code, python
from local.ports import LOOPBACK
from local.site import Site

DATABASE: Final = "default_database"
_HAS_TENANTS: Final = "SELECT 1 FROM sqlite_master WHERE name = 'databases'"
_ADOPT: Final = (
    "INSERT OR IGNORE INTO tenants (id) VALUES (:ours)",
    "UPDATE OR IGNORE databases SET tenant_id = :ours WHERE tenant_id = 'default_tenant' AND name = :database",
)


class ChromaDB(Component):
    """One of the vector stores."""

    name = "chromadb"
    ports = ("chromadb",)

    def folders(self, site: Site) -> tuple[Path, ...]:
        return (site.layout.home / "chromadb",)

    def reads(self, site: Site) -> tuple[Path, ...]:  # noqa: ARG002 - of no site in particular
        return code()

    def prepare(self, site: Site) -> None:
        home = site.layout.home / "chromadb"
        if not (done := home / ".adopted").exists():
            _adopt(home / "chroma.sqlite3", site.secrets.chromadb_tenant)
            done.touch()

    def launch(self, site: Site) -> Launch:
        place = ("--path", str(site.layout.home / "chromadb"))
        address = ("--host", LOOPBACK, "--port", str(site.ports["chromadb"]))
        quiet = {"ANONYMIZED_TELEMETRY": "False", "NO_COLOR": "1", "RUST_LOG": "warn"}  # it would log every path
        command = (python(), "-m", "local.chroma_server", "run", *place, *address)
        return Launch(command, site.process_environment() | quiet)

    def probe(self, site: Site) -> None:
        probes.get(f"{_api(site)}/heartbeat")
        if self.external_url(site) is None:
            with _unnamed(site):
                _make_tenant(site)

    def verify(self, site: Site) -> None:
        with _unnamed(site):
            works.chromadb(f"{_tenant(site)}/databases/{DATABASE}")


def _api(site: Site) -> str:
    return f"{url(site, 'chromadb').rstrip('/')}/api/v2"


def _tenant(site: Site) -> str:
    return f"{_api(site)}/tenants/{site.secrets.chromadb_tenant}"


def _make_tenant(site: Site) -> None:
    """Nothing happens when it is there already."""
    if b'"id"' in probes.get(f"{_tenant(site)}/databases/{DATABASE}", (200, 404)):
        return
    made = {f"{_api(site)}/tenants": site.secrets.chromadb_tenant, f"{_tenant(site)}/databases": DATABASE}
    for place, name in made.items():
        probes.ask("POST", place, json.dumps({"name": name}).encode(), (200, 409))


def _adopt(kept: Path, tenant: str) -> None:
    """What a home of an older version has in the tenant that everybody knows becomes ours: there is no call for that.

    Once only, or a stranger could have us take what they put there.
    """
    if not kept.exists():
        return
    try:
        with closing(sqlite3.connect(kept, timeout=probes.TIMEOUT_SECONDS)) as connection, connection:
            for statement in _ADOPT if connection.execute(_HAS_TENANTS).fetchone() else ():
                connection.execute(statement, {"ours": tenant, "database": DATABASE})
    except sqlite3.Error as error:
        raise NotReady(f"{kept}: {error}") from error


@contextmanager
def _unnamed(site: Site) -> Iterator[None]:
    """What is not ready is said without the secret in its path."""
    try:
        yield
    except NotReady as error:
        raise NotReady(str(error).replace(site.secrets.chromadb_tenant, "…")) from None
