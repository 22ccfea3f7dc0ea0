"""What goes on when the disk is nearly full is what docs/operations.md says, and nothing else."""

import re
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from services.topology import SERVICES
from shared.door import GuardedRoute
from shared.web import routes_of
from tests.architecture.apps import app_of
from tests.architecture.conftest import REPOSITORY

SAFE = {"GET", "HEAD", "OPTIONS", "DELETE"}


def routes(app: FastAPI) -> Iterator[Any]:
    """Those of `services` that are documented, each with what `GuardedRoute` made of it."""
    for route in routes_of(app):
        if isinstance(route, GuardedRoute) and route.include_in_schema and route.operation_id:
            yield route


def going_on() -> set[str]:
    """The operations whose method says that they write, and that go on all the same."""
    return {
        route.operation_id
        for service in SERVICES
        for route in routes(app_of(service))
        if not route.methods <= SAFE and not route.stores
    }


def test_what_goes_on_is_what_the_page_says() -> None:
    section = (REPOSITORY / "docs" / "operations.md").read_text().split("## When the disk is nearly full")[1]
    table = section.split("\n\n")[2]

    assert going_on() == set(re.findall(r"`((?:auth|agents|chat|vectors|tasks)_\w+)`", table))


def test_what_only_reads_or_deletes_stores_nothing() -> None:
    storing = {route.operation_id for service in SERVICES for route in routes(app_of(service)) if route.stores}

    assert {"agents_create", "chat_send_message", "vectors_store", "tasks_submit", "auth_register"} <= storing
    assert not {name for name in storing if "search" in name or "_delete" in name or "_get" in name}


def test_every_operation_says_that_the_disk_may_be_full() -> None:
    for service in SERVICES:
        for path in app_of(service).openapi()["paths"].values():
            assert all("507" in operation["responses"] for operation in path.values())
