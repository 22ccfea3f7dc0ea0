"""S19 and "never a 500 for an input": every operation, with everything that its valid body should not be.

Each answer is a success or says what is wrong as its operation words it, within a second, and no service takes more
memory for a body than four times its bytes and 16 MiB. Sent through the gateway, with credentials that open it.

`make fuzz` sends all of them. Else one of each family is sent and a few of the others, and a machine that does
other work as well has five seconds.
"""

import itertools
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import pytest
import sqlalchemy

from local.suite import Suite
from services.tasks.kinds.registry import BUILT_IN
from services.topology import SERVICES
from tests.fixtures import attacks
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.wording import code_of, is_openai_error, is_problem
from tests.security import hostile
from tests.security.belongings import RECORD, Tenant, places
from tests.security.conftest import LogIn
from tests.security.hostile import Attack
from tests.security.spec import FOR_ADMINS, OPERATIONS, PUBLIC, Operation
from tests.security.test_tenants import inlined

pytestmark = pytest.mark.timeout(900)
MIB: Final = 2**20
# The bytes of a file are nobody's fields; what its form may hold is tried in tests/services/vectors/test_files.py.
WITH_BODY: Final = [one for one in OPERATIONS if one.bodies.keys() & {hostile.JSON, hostile.FORM}]
WITH_PARAMETERS: Final = [operation for operation in OPERATIONS if operation.parameters]
WHOLE: Final = "ATTACKS" in os.environ
EVERY: Final = 1 if WHOLE else 25
PARAMETERS: Final = 1 if WHOLE else 5
SECONDS: Final = 1 if WHOLE else 5
AS_ONE_USER: Final = 300  # so many a minute that no limit of one user is met
UNREAD: Final = {"invalid", "too_large", "too_complex", "unsupported_media_type", "bad_request"}
Way = tuple[str, dict[str, str]]
"""The path of an operation, with ids of what is there, and the headers of who may ask for it."""
Ways = Callable[[Operation], Awaitable[Way]]


@pytest.fixture
def ways(gateway: httpx.AsyncClient, register_user: RegisterUser, as_admin: LogIn) -> Ways:
    """A way to an operation, each time for somebody else, who owns what its path names."""

    async def way(operation: Operation) -> Way:
        if operation.path in PUBLIC:
            return operation.path, {}
        if FOR_ADMINS & set(operation.scopes):
            return operation.filled(), await as_admin(frozenset(operation.scopes))
        tenant = Tenant(gateway, await register_user())
        ids = {one.name: await tenant.id_of(one.kind) for one in places(operation) if one.where == "path" and one.kind}
        return operation.filled(ids), tenant.user.headers

    return way


@pytest.fixture(scope="module")
async def warm_model(gateway: httpx.AsyncClient, register_user: RegisterUser) -> None:
    """The model for embeddings is loaded, which is no body's fault."""
    await Tenant(gateway, await register_user()).id_of(RECORD)


@pytest.fixture
async def forgiving(suite: Suite) -> AsyncIterator[None]:
    """What was guessed at here holds no other test's login off."""
    yield
    url = sqlalchemy.make_url(suite.environment("auth")["DATABASE_URL"]).set(drivername="postgresql", database="auth")
    connection = await asyncpg.connect(url.render_as_string(hide_password=False))
    await connection.execute("DELETE FROM login_throttle")
    await connection.close()


# --- What is tried ----------------------------------------------------------------------------------------------------


def json_bodies(operation: Operation, user: User) -> Iterator[Any]:
    """Valid bodies of the operation, which together have all its members."""
    whole = hostile.full(operation.bodies[hostile.JSON])
    if operation.id == "auth_change_password":  # the right one, so that the new one is looked at too, and first
        yield {"new_password": user.password, "current_password": user.password}
    elif operation.id == "tasks_submit":  # which takes `max_attempts` in one place
        yield {name: value for name, value in whole.items() if name != "max_attempts"}
        for kind in BUILT_IN.list():
            schema = kind.input_model.model_json_schema()
            given = hostile.full(inlined(schema, schema.get("$defs", {})))
            tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
            yield {"kind": kind.name, "input": given, "run_at": tomorrow, "max_attempts": 3}
    elif operation.id in hostile.BODIES:
        yield hostile.BODIES[operation.id](whole)
    else:
        yield whole


def forms(operation: Operation, user: User) -> Iterator[dict[str, str]]:
    if operation.id != "auth_token":
        yield {"token": "x", "token_type_hint": "access_token", "client_id": "x"}
        return
    # The scope first: after a few wrong passwords an account is held off.
    yield {"grant_type": "password", "scope": "agents:read", "username": user.email, "password": user.password}
    yield {"grant_type": "refresh_token", "refresh_token": user.refresh_token}
    yield {"grant_type": "client_credentials", "client_id": "x", "client_secret": "x"}


def tries(operation: Operation, user: User) -> Iterator[tuple[Attack, Iterable[Attack]]]:
    """A valid body, and what is made of it."""
    if hostile.JSON not in operation.bodies:
        for form in forms(operation, user):
            yield hostile.valid_form(form), hostile.of_form(form)
        return
    first, *others = json_bodies(operation, user)
    yield hostile.valid(first), itertools.chain(hostile.in_fields(first), hostile.of_json(first))
    for body in others:
        yield hostile.valid(body), hostile.in_fields(body)


def chosen(made: Iterable[Attack]) -> Iterator[Attack]:
    """All, or the first of each family and a few of the others, the same in every run."""
    families: set[str] = set()
    for number, attack in enumerate(made):
        if attack.family not in families or number % EVERY == 0:
            families.add(attack.family)
            yield attack


# --- How it is answered -----------------------------------------------------------------------------------------------


async def timed(gateway: httpx.AsyncClient, method: str, path: str, **request: Any) -> tuple[httpx.Response, float]:
    """The answer and its seconds: of up to three tries the least, since a busy machine delays anybody."""
    least, answer = float("inf"), None
    for _ in range(3):
        started = time.perf_counter()
        answer = await gateway.request(method, path, **request)
        least = min(least, time.perf_counter() - started)
        if least < SECONDS:
            break
    assert answer is not None
    return answer, least


def fault(operation: Operation, answer: httpx.Response, seconds: float) -> str | None:
    """What is wrong with an answer, None when nothing is."""
    said = f"{answer.status_code} {answer.text[:200]}"
    if answer.status_code >= 500 or answer.status_code == 429 or answer.has_redirect_location:
        return said
    is_worded = is_openai_error if operation.answers_as_openai else is_problem
    if answer.is_error and not (is_worded(answer) or came_to_no_service(answer)):
        return f"worded otherwise: {said}"
    return f"{seconds:.1f} s: {said}" if seconds > SECONDS else None


def came_to_no_service(answer: httpx.Response) -> bool:
    """Whether the gateway answered by itself, in its own words: to a NUL, or an address that is of no operation."""
    return is_problem(answer) and code_of(answer) in ("common.bad_request", "common.no_route")


def is_read(answer: httpx.Response) -> bool:
    """Whether nothing was wrong with the body itself, whatever was said of what it asks for."""
    return answer.is_success or code_of(answer).removeprefix("common.") not in UNREAD


class Memory:
    """What the process of each service holds, and the most that it has had at once since it was last looked at."""

    def __init__(self, suite: Suite) -> None:
        self._processes = {name: pid for name, pid in suite.pids().items() if name in SERVICES}

    def look(self) -> None:
        for pid in self._processes.values():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins at what is held now (proc(5))
        self._before = self._peaks()

    def _peaks(self) -> dict[str, int]:
        return {name: _peak(pid) for name, pid in self._processes.items()}

    def grown(self, beyond: float) -> dict[str, str]:
        """Who has grown by more than `beyond` bytes since."""
        after = self._peaks()
        more = {name: after[name] - before for name, before in self._before.items()}
        return {name: f"{bytes_ / MIB:.0f} MiB" for name, bytes_ in more.items() if bytes_ > beyond}


def _peak(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 2**10


# --- The proofs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
async def test_no_body_breaks_an_operation(
    gateway: httpx.AsyncClient,
    suite: Suite,
    ways: Ways,
    register_user: RegisterUser,
    forgiving: None,
    warm_model: None,
    record_property: attacks.Record,
    operation: Operation,
) -> None:
    tried, wrong, user = Counter[str](), dict[str, object](), await register_user()
    memory = Memory(suite)
    for whole, made in tries(operation, user):
        path, headers = await way_of(ways, operation, user)
        answer, _ = await timed(gateway, operation.method, path, **whole.request(headers))
        assert is_read(answer), f"not valid: {whole.body!r} {answer.text}"
        for attack in chosen(made):
            if tried.total() % AS_ONE_USER == AS_ONE_USER - 1:
                path, headers = await way_of(ways, operation, user)
            memory.look()
            answer, seconds = await timed(gateway, operation.method, path, **attack.request(headers))
            tried[attack.family] += 1
            if found := fault(operation, answer, seconds) or memory.grown(4 * len(attack.body) + 16 * MIB):
                wrong[f"{attack.family}: {attack.name}"] = found
            elif attack.is_whole and not is_read(answer):
                wrong[f"{attack.family}: {attack.name}"] = answer.text
    attacks.record(record_property, tried)

    assert not wrong, json.dumps(wrong, indent=1)


async def way_of(ways: Ways, operation: Operation, user: User) -> Way:
    """Somebody else's way, but where the body holds the caller's own password."""
    return (operation.path, user.headers) if operation.id == "auth_change_password" else await ways(operation)


@pytest.mark.parametrize("operation", WITH_PARAMETERS, ids=str)
async def test_no_parameter_breaks_an_operation(
    gateway: httpx.AsyncClient,
    ways: Ways,
    record_property: attacks.Record,
    operation: Operation,
) -> None:
    path, headers = await ways(operation)
    wrong = {}
    tried = Counter[str]()
    for family, name, address, more in itertools.islice(hostile.of_parameters(operation, path), 0, None, PARAMETERS):
        answer, seconds = await timed(gateway, operation.method, address, headers=headers | more)
        tried[family] += 1
        if found := fault(operation, answer, seconds):
            wrong[name] = found
    attacks.record(record_property, tried)

    assert not wrong, json.dumps(wrong, indent=1)
