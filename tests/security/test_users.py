"""Where root starts the suite, none of its servers is root, and none reads what is another's."""

import os

import httpx
import psutil
import pytest

from local.accounts import PREFIX
from local.components import ALL
from local.suite import Suite
from tests.fixtures.users import files_of, readable, user_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give servers users of their own")


def test_no_server_is_root(suite: Suite, gateway: httpx.AsyncClient) -> None:
    pids = suite.pids()

    found = {name: psutil.Process(pid).username() for name, pid in pids.items()}

    assert found == {name: f"{PREFIX}{name}" for name in pids}
    assert {"auth", "chat", "tasks-worker", "neo4j", "chromadb", "llm", "gateway"} <= pids.keys()


def test_no_server_reads_what_is_anothers(suite: Suite, gateway: httpx.AsyncClient) -> None:
    """With the rights of its user; where that cannot enter what its program is read from, `make up` tells what else."""
    files, components = files_of(suite.site.layout.home), [ALL[name] for name in suite.pids()]

    strange = {
        (component.name, path)
        for component in components
        for path in readable(user_of(component.name), files)
        if not any(path.is_relative_to(folder) for folder in component.folders(suite.site))
        and path.name not in ("tls_authority", f"tls_{component.name}")
    }

    assert strange == set()
