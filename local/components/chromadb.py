"""ChromaDB's server from the `chromadb` wheel."""

from pathlib import Path

from local import probes, works
from local.addresses import url
from local.components.base import Component, Launch
from local.layout import code, python
from local.ports import LOOPBACK
from local.site import Site


class ChromaDB(Component):
    """One of the vector stores."""

    name = "chromadb"
    ports = ("chromadb",)

    def folders(self, site: Site) -> tuple[Path, ...]:
        return (site.layout.home / "chromadb",)

    def reads(self, site: Site) -> tuple[Path, ...]:  # noqa: ARG002 - of no site in particular
        return code()

    def launch(self, site: Site) -> Launch:
        place = ("--path", str(site.layout.home / "chromadb"))
        address = ("--host", LOOPBACK, "--port", str(site.ports["chromadb"]))
        environment = site.process_environment() | {"ANONYMIZED_TELEMETRY": "False", "NO_COLOR": "1"}
        return Launch((python(), "-m", "local.chroma_server", "run", *place, *address), environment)

    def probe(self, site: Site) -> None:
        probes.get(f"{url(site, 'chromadb').rstrip('/')}/api/v2/heartbeat")

    def verify(self, site: Site) -> None:
        works.chromadb(url(site, "chromadb"))
