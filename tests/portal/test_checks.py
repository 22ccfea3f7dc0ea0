"""What each process looks at, and how hard, is what docs/operations.md says."""

import os
import re
from pathlib import Path
from unittest import mock

import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI

from local.layout import REPOSITORY
from local.suite import Suite
from services.tasks.settings import WorkerSettings
from services.tasks.worker.main import create_app
from services.topology import SERVICES
from tests.fixtures.apps import build_app

WORKER = "tasks-worker"
NOT_HERE = {"consul"}  # the apps are opened at fixed addresses, or they would register
BY_TLS = {"certificate"}


def documented(process: str) -> dict[str, bool]:
    """The checks of the page, and whether they are hard."""
    page = (REPOSITORY / "docs" / "operations.md").read_text()
    section = page.split("## What is checked, and what to do")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([^|`]+) \| ([^|]+) \| (hard|soft) \|", section, re.MULTILINE)
    return {
        check: hard == "hard"
        for processes, checks, hard in rows
        for check in re.findall(r"`([\w-]+)`", checks)
        if process in processes.split(", ")
    }


def app_of(suite: Suite, process: str, folder: Path) -> FastAPI:
    if process != WORKER:
        return build_app(suite, process, **({"data_dir": folder} if process == "vectors" else {}))
    with mock.patch.dict(os.environ, suite.environment(WORKER) | {"DISCOVERY": "static"}, clear=True):
        return create_app(WorkerSettings())


@pytest.mark.parametrize("process", [*SERVICES, WORKER])
async def test_the_checks_of_a_process_are_those_of_the_page(
    gateway: httpx.AsyncClient, suite: Suite, process: str, tmp_path: Path
) -> None:
    app = app_of(suite, process, tmp_path)

    async with LifespanManager(app, startup_timeout=60, shutdown_timeout=60):
        checks = app.state.health.checks

    not_here = NOT_HERE if suite.site.uses_tls else NOT_HERE | BY_TLS
    assert checks.keys() | not_here == documented(process).keys()
    assert not checks.keys() & not_here
    assert {name: documented(process)[name] for name in checks} == checks
