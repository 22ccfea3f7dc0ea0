"""The commands of an operator, as processes."""

import asyncio
import functools
import os
import re
import secrets
import subprocess
from collections.abc import Mapping
from typing import Protocol

import pytest

from local.layout import REPOSITORY, python
from local.suite import Suite
from services.auth.lifespan import MIGRATIONS
from shared.postgres import open_database
from tests.fixtures.places import TEST_HOME, TEST_PORT_BASE
from tests.fixtures.warm import Ended, Warm
from tests.services.auth.tampering import tamper


class Run(Protocol):
    """A command of auth, until it has ended."""

    async def __call__(self, environment: Mapping[str, str], *arguments: str) -> Ended: ...


@pytest.fixture
def run(warm: Warm) -> Run:
    async def ran(environment: Mapping[str, str], *arguments: str) -> Ended:
        return await asyncio.to_thread(
            functools.partial(warm.run, "services.auth.commands", *arguments, environment=environment)
        )

    return ran


@pytest.fixture
def environment(suite: Suite) -> dict[str, str]:
    """auth's, with an empty database of its own."""
    suite.up(["postgres"])
    return suite.environment("auth") | {"DATABASE_NAME": f"commands_{secrets.token_hex(6)}", "KEY_PUBLISH_SECONDS": "0"}


async def test_an_unbroken_log_is_told_with_its_head(run: Run, environment: dict[str, str]) -> None:
    await run(environment, "rotate-keys")

    first = await run(environment, "verify-audit")
    head = re.search(r"head: ([0-9a-f]{64})", first.output)
    assert head
    await run(environment, "rotate-keys")
    second = await run(environment, "verify-audit", "--expect-head", head[1])

    assert (first.code, second.code) == (0, 0)
    assert ("unbroken entries: 1" in first.output, "unbroken entries: 2" in second.output) == (True, True)


async def test_a_changed_log_is_an_error_that_names_the_entry(
    run: Run, suite: Suite, environment: dict[str, str]
) -> None:
    await run(environment, "rotate-keys")
    async with open_database(suite.url("postgres"), environment["DATABASE_NAME"], MIGRATIONS) as database:
        await tamper(database, "UPDATE audit_entry SET actor = 'eve' WHERE number = 1")

    changed = await run(environment, "verify-audit")
    no_head = await run(environment, "verify-audit", "--expect-head", "00" * 32)

    assert (changed.code, no_head.code) == (1, 1)
    assert "broken at entry 1:" in changed.output
    assert "the expected head is not among them" in no_head.output


async def test_a_rotation_waits_until_the_next_key_is_known(run: Run, environment: dict[str, str]) -> None:
    for seconds in (2, 8, 32):  # for a machine that stands still before the command looks at the key that it made
        rotated = await run(environment | {"KEY_PUBLISH_SECONDS": str(seconds)}, "rotate-keys")
        assert rotated.code == 0
        if "waiting" in rotated.output:
            break

    assert re.search(r"the next key may sign in [\d.]+ s: .* waiting\ntokens are signed with", rotated.output)


async def test_a_rotation_in_an_emergency_says_what_it_costs(run: Run, environment: dict[str, str]) -> None:
    rotated = await run(environment | {"KEY_PUBLISH_SECONDS": "3600"}, "rotate-keys", "--now")

    assert rotated.code == 0
    assert "refuses new tokens (401)" in rotated.output


async def test_two_rotations_at_once_follow_one_another(run: Run, environment: dict[str, str]) -> None:
    both = await asyncio.gather(*(run(environment, "rotate-keys") for _ in range(2)))

    assert [one.code for one in both] == [0, 0]
    assert both[0].output != both[1].output
    assert "unbroken entries: 2" in (await run(environment, "verify-audit")).output


async def test_missing_settings_are_named_and_the_others_not_shown(run: Run, environment: dict[str, str]) -> None:
    key = environment.pop("AUDIT_KEY")

    refused = await run(environment | {"CURSOR_SECRET": key[:20]}, "verify-audit")

    assert (refused.code, refused.error) == (2, "these settings are missing or wrong: AUDIT_KEY, CURSOR_SECRET\n")


async def test_a_database_that_is_away_is_named(run: Run, environment: dict[str, str]) -> None:
    away = environment | {"DATABASE_URL": "postgresql+asyncpg://nobody:x@127.0.0.1:1/"}

    assert (await run(away, "verify-audit")).error == "postgres is not available right now.\n"


@pytest.mark.parametrize("head", ["x", "00", "zz" * 32])
async def test_what_is_no_head_is_refused(run: Run, environment: dict[str, str], head: str) -> None:
    assert (await run(environment, "verify-audit", "--expect-head", head)).code == 2


async def test_the_log_of_the_running_suite_is_verified_as_make_does_it(suite: Suite) -> None:
    suite.up(["auth"])
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "SUTAZAI_CACHE"}}
    home = {"SUTAZAI_HOME": str(TEST_HOME), "SUTAZAI_PORT_BASE": str(TEST_PORT_BASE)}
    command = [python(), "-m", "local", "exec", "auth", "--", "python", "-m", "services.auth.commands", "verify-audit"]

    async def verified(*arguments: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *command, *arguments, env=kept | home, cwd=REPOSITORY, stdout=subprocess.PIPE
        )
        output, _ = await process.communicate()
        return process.returncode, output.decode()

    as_it_is, with_another_head = await asyncio.gather(verified(), verified("--expect-head", "00" * 32))

    assert (as_it_is[0], with_another_head[0]) == (0, 1)
    assert re.search(r"unbroken entries: [1-9]", as_it_is[1])
