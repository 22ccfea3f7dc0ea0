"""Our ChromaDB asks nobody who is there: what is ours is not found by whoever does not know a secret."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from local.suite import Suite
from tests.fixtures.http import authorities
from tests.fixtures.patience import PATIENCE_SECONDS

_OPEN = "default_tenant"
_FORGET = ("DELETE FROM databases WHERE tenant_id = :ours", "DELETE FROM tenants WHERE id = :ours")


def call(suite: Suite, method: str, path: str, body: Any = None) -> Any:
    return asked(suite, method, path, json=body).json()


def asked(suite: Suite, method: str, path: str, **given: Any) -> httpx.Response:
    place = f"{suite.url('chromadb')}/api/v2/tenants/{path}"
    answer = httpx.request(method, place, timeout=PATIENCE_SECONDS, verify=authorities(), **given)
    assert answer.status_code in (200, 201, 404, 405), answer.text
    return answer


def collections_of(tenant: str) -> str:
    return f"{tenant}/databases/default_database/collections"


def put(suite: Suite, tenant: str, name: str) -> str:
    """A collection with a record; its id."""
    made = str(call(suite, "POST", collections_of(tenant), {"name": name})["id"])
    call(suite, "POST", f"{collections_of(tenant)}/{made}/upsert", {"ids": ["1"], "embeddings": [[1.0, 0.0]]})
    return made


def make_older(suite: Suite) -> None:
    """Its home as a version left it that knew the open tenant only."""
    home = suite.site.layout.home / "chromadb"
    (home / ".adopted").unlink()
    with closing(sqlite3.connect(home / "chroma.sqlite3")) as connection, connection:
        for statement in _FORGET:
            connection.execute(statement, {"ours": suite.secrets.chromadb_tenant})


def test_who_does_not_know_the_tenant_finds_nothing(suite: Suite) -> None:
    suite.up(["chromadb"])
    put(suite, suite.secrets.chromadb_tenant, "ours")

    databases = call(suite, "GET", f"{_OPEN}/databases")

    assert [one["name"] for one in databases] == ["default_database"]
    assert call(suite, "GET", collections_of(_OPEN)) == []
    assert "error" in call(suite, "GET", f"{collections_of(_OPEN)}/ours")
    for guess in ("%25", "*", "_", ""):
        assert b"ours" not in asked(suite, "GET", guess).content


def test_the_tenant_stands_in_no_log_and_no_command(suite: Suite) -> None:
    suite.up(["chromadb"])
    put(suite, suite.secrets.chromadb_tenant, "ours")
    pid = suite.pids()["chromadb"]

    logs = b"".join(path.read_bytes() for path in suite.site.layout.logs.iterdir() if path.is_file())
    command = Path(f"/proc/{pid}/cmdline").read_bytes()

    assert suite.secrets.chromadb_tenant.encode() not in logs + command


def test_what_an_older_version_kept_is_taken_over_once(suite: Suite) -> None:
    suite.up(["chromadb"])
    former = put(suite, _OPEN, "former")
    suite.down()
    make_older(suite)

    suite.up(["chromadb"])

    ours = collections_of(suite.secrets.chromadb_tenant)
    assert [one["id"] for one in call(suite, "GET", ours)] == [former]
    assert call(suite, "POST", f"{ours}/{former}/get", {"ids": ["1"]})["ids"] == ["1"]
    assert call(suite, "GET", collections_of(_OPEN)) == []


def test_what_a_stranger_puts_there_is_not_taken_for_ours(suite: Suite) -> None:
    suite.up(["chromadb"])
    put(suite, _OPEN, "a-strangers")
    suite.down()

    suite.up(["chromadb"])

    assert call(suite, "GET", collections_of(suite.secrets.chromadb_tenant)) == []
