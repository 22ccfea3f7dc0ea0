"""Writes the archive of parsed classes with which the server starts twice as fast: one short run, recorded."""

import sys
import tempfile
from contextlib import closing
from pathlib import Path
from socket import AF_INET, SOCK_STREAM, socket
from typing import Final

import jpype
import jpype.config
from neo4j import GraphDatabase

from local.neo4j.server import ARCHIVE, set_first_password, start_jvm, start_server
from local.ports import LOOPBACK

PASSWORD: Final = "used-for-one-recording"  # noqa: S105 - of a server that lives for seconds, in a directory of its own
# What the services do at first: a connection, constraints and indexes, writing and reading.
STATEMENTS: Final = (
    "CREATE CONSTRAINT thing_id IF NOT EXISTS FOR (t:Thing) REQUIRE t.id IS UNIQUE",
    "CREATE INDEX thing_tenant IF NOT EXISTS FOR (t:Thing) ON (t.tenant, t.created_at)",
    "CREATE FULLTEXT INDEX thing_text IF NOT EXISTS FOR (t:Thing) ON EACH [t.name]",
    "MERGE (a:Thing {id: 1}) SET a.name = 'one' MERGE (b:Thing {id: 2}) MERGE (a)-[:KNOWS {weight: 1.0}]->(b)",
    "MATCH p = (a:Thing {id: 1})-[:KNOWS*1..3]->(b) WITH p, b ORDER BY length(p) RETURN count(p), collect(b.id)[..5]",
    "CALL db.index.fulltext.queryNodes('thing_text', 'one') YIELD node, score RETURN node.id, score",
)


def _free_port() -> int:
    with closing(socket(AF_INET, SOCK_STREAM)) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _configure(home: Path, address: str) -> None:
    settings = f"server.directories.neo4j_home={home}\nserver.bolt.enabled=true\nserver.bolt.listen_address={address}\n"
    settings += "server.memory.pagecache.size=8m\ndbms.usage_report.enabled=false\n"
    (home / "neo4j.conf").write_text(settings)


def _exercise(address: str) -> None:
    with GraphDatabase.driver(f"bolt://{address}", auth=("neo4j", PASSWORD)) as driver:
        for statement in STATEMENTS:
            driver.execute_query(statement, database_="neo4j")


def main() -> None:
    """`python -m local.neo4j.archive JARS`: leaves the archive beside the jars."""
    jars = Path(sys.argv[1])
    draft = jars / f"{ARCHIVE}.new"
    draft.unlink(missing_ok=True)
    address = f"{LOOPBACK}:{_free_port()}"
    with tempfile.TemporaryDirectory(prefix="sutazai-neo4j-") as directory:
        home = Path(directory)
        _configure(home, address)
        start_jvm(jars, f"-XX:ArchiveClassesAtExit={draft}")
        set_first_password(home, PASSWORD)
        server = start_server(home)
        _exercise(address)
        server.shutdown()
        jpype.config.destroy_jvm = True  # an orderly end writes the archive
        jpype.shutdownJVM()
    draft.replace(jars / ARCHIVE)


if __name__ == "__main__":
    main()
