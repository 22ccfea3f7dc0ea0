"""A scope narrowed to one object holds for it however a request spells it."""

import pytest

from local.suite import Suite
from tests.services.shared.limited import THINGS, headers_of, things


@pytest.mark.parametrize(("name", "status"), [("falcon", 200), ("FALCON", 200), ("eagle", 403), (["falcon"], 403)])
async def test_the_member_of_a_body_is_the_object(suite: Suite, name: object, status: int) -> None:
    suite.up(["redis"])
    async with things(suite.url("redis")) as client:
        headers = headers_of(scope="things:falcon:write")
        answer = await client.post(f"{THINGS}/named", json={"name": name}, headers=headers)

    assert answer.status_code == status
