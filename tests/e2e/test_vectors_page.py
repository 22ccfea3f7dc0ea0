"""What docs/vectors.md shows works as it stands there."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.layout import REPOSITORY
from tests.e2e.test_journey import finished
from tests.fixtures.identity import User

PAGE = (REPOSITORY / "docs" / "vectors.md").read_text()


def example(part: str) -> str:
    """The one in Python of a part of the page."""
    (found,) = re.findall(r"```python\n(.*?)```", part, re.DOTALL)
    return str(found)


async def run(code: str, gateway: httpx.AsyncClient, user: User) -> dict[str, Any]:
    """The names that it leaves."""
    asked = {"name": "page", "scopes": ["vectors:read", "vectors:write", "tasks:read", "tasks:write"]}
    made = await gateway.post("/api/v1/auth/api-keys", json=asked, headers=user.headers)
    names = {"API": str(gateway.base_url.join("/api/v1")), "KEY": made.json()["key"], "httpx": httpx}
    await asyncio.to_thread(exec, code, names)
    return names


async def test_the_example_with_numpy(gateway: httpx.AsyncClient, other_user: User) -> None:
    names = await run(example(PAGE.partition("\n## ")[0]), gateway, other_user)

    assert names["stored"].json()["stored"] == 1000, names["stored"].text
    best, *others = names["found"].json()["results"]
    assert (best["id"], len(others)) == ("row-7", 2)


async def test_the_example_of_a_file_of_ones_own(
    gateway: httpx.AsyncClient, other_user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    part = PAGE.partition("## A collection as a file")[2].partition("\n## ")[0]
    names = await run(example(part), gateway, other_user)

    task = await finished(gateway, other_user, names["submitted"].json()["id"])
    assert (task["status"], task["result"]["records"]) == ("succeeded", 1000), task
