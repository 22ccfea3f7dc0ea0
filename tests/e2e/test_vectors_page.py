"""What docs/vectors.md shows works as it stands there."""

import asyncio
import re
from typing import Any

import httpx

from local.layout import REPOSITORY
from tests.fixtures.identity import User

PAGE = (REPOSITORY / "docs" / "vectors.md").read_text()


async def test_the_example_with_numpy(gateway: httpx.AsyncClient, other_user: User) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    asked = {"name": "page", "scopes": ["vectors:read", "vectors:write"]}
    made = await gateway.post("/api/v1/auth/api-keys", json=asked, headers=other_user.headers)
    names: dict[str, Any] = {"API": str(gateway.base_url.join("/api/v1")), "KEY": made.json()["key"]}

    await asyncio.to_thread(exec, example, names)

    assert names["stored"].json()["stored"] == 1000, names["stored"].text
    best, *others = names["found"].json()["results"]
    assert (best["id"], len(others)) == ("row-7", 2)
