"""Neo4j: the published server artifacts in a JVM that a small Python process starts and stops."""

from pathlib import Path

from local import probes, works
from local.addresses import external_url, url
from local.components.base import Component, Launch
from local.errors import LocalError
from local.layout import code, python
from local.ports import LOOPBACK
from local.site import Site


class Neo4j(Component):
    """The graph store."""

    name = "neo4j"
    ports = ("neo4j",)
    stop_seconds = 40

    def folders(self, site: Site) -> tuple[Path, ...]:
        return (site.layout.home / "neo4j",)

    def reads(self, site: Site) -> tuple[Path, ...]:
        return (*code(), site.layout.cache / "neo4j")

    def prepare(self, site: Site) -> None:
        jars = site.layout.cache / "neo4j"
        if not any(jars.glob("neo4j-5*.jar")):
            raise LocalError(f"its artifacts are not in {jars}: run local/bootstrap.sh")

    def launch(self, site: Site) -> Launch:
        home = site.layout.home / "neo4j"
        address = f"{LOOPBACK}:{site.ports['neo4j']}"
        settings = {
            "server.directories.neo4j_home": home,
            "server.bolt.enabled": "true",
            "server.bolt.listen_address": address,
            "server.bolt.advertised_address": address,
            # The databases are closed before the listener; its wait for silence would only delay the end by 10 s.
            "internal.dbms.bolt.netty_server_shutdown_quiet_period": "0",
            "internal.dbms.bolt.netty_server_shutdown_timeout": "2s",
            "server.memory.pagecache.size": "64m",
            # Allocated in advance, so that a full disk does not tear the log, which no restart would read again.
            "db.tx_log.rotation.size": "32m",
            "dbms.security.auth_enabled": "true",
            "dbms.usage_report.enabled": "false",
        }
        configuration = "".join(f"{name}={value}\n" for name, value in settings.items())
        environment = site.process_environment() | {"NEO4J_PASSWORD": site.secrets.neo4j_password}
        command = (python(), "-m", "local.neo4j.server", str(home), str(site.layout.cache / "neo4j"))
        return Launch(command, environment, {home / "neo4j.conf": configuration})

    def probe(self, site: Site) -> None:
        probes.bolt(url(site, "neo4j"), *credentials(site))

    def verify(self, site: Site) -> None:
        works.neo4j(url(site, "neo4j"), *credentials(site))


def credentials(site: Site) -> tuple[str, str]:
    """User and password, of the caller's own server where there is one."""
    if external_url(site, "neo4j"):
        return site.setting("NEO4J_USER") or "neo4j", site.setting("NEO4J_PASSWORD") or ""
    return "neo4j", site.secrets.neo4j_password
