"""S11: every operation demands a scope of its caller; what nobody needs one for stands in a short list."""

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from services.topology import SERVICES
from shared.schemas import new_id
from shared.web import routes_of
from tests.architecture.apps import app_of
from tests.fixtures.identity import User
from tests.fixtures.readiness import whole_document
from tests.fixtures.wording import code_of, message_of
from tests.security.conftest import EVERY_SCOPE, LogIn
from tests.security.spec import DOCUMENT, FOR_ADMINS, OPERATIONS, PROTECTED, PUBLIC, Operation

DOCUMENTED = {(operation.method, operation.path) for operation in OPERATIONS}
UNDOCUMENTED = {
    "/api/v1/{service}/openapi.json": "a document",
    "/api/v1/openapi.json": "the document over all",
    "/.well-known/oauth-authorization-server/api/v1/auth": "RFC 8414: what is documented below `/api/v1/auth`",
}
PUBLIC_ROOTS = ("/api/", "/.well-known/")
_QUESTION = "the question does not fit into a query string"
READING_POSTS = {
    "chat_create_ticket": "it opens for a minute what its caller may read anyway",
    "agents_match": _QUESTION,
    "vectors_search": _QUESTION,
    "vectors_search_batch": _QUESTION,
    "vectors_search_vector_store": _QUESTION,
    "vectors_create_embeddings": "nothing is kept; a thousand texts do not fit into a query string",
    "vectors_count_tokens": "nothing is kept; a thousand texts do not fit into a query string",
}
every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)
every_protected_operation = pytest.mark.parametrize("operation", PROTECTED, ids=str)


def routes(app: FastAPI) -> set[tuple[str, str]]:
    """Every method and path that the app has an operation for, documented or not."""
    found: set[tuple[str, str]] = set()
    for route in iter_route_contexts(routes_of(app)):
        if route.endpoint.__module__ != "shared.web.routing":  # they answer 405
            assert route.path is not None
            path = route.path.replace(":path}", "}")
            found |= {(method, path) for method in route.methods or () if method != "HEAD"}
    return found


def private(service: str) -> list[tuple[str, str]]:
    return sorted(route for route in routes(app_of(service)) if not route[1].startswith(PUBLIC_ROOTS))


async def ask(gateway: httpx.AsyncClient, operation: Operation, headers: dict[str, str]) -> httpx.Response:
    """Asked with nothing but an id: what a caller may not do is refused before anything else is looked at."""
    async with gateway.stream(operation.method, operation.filled(), headers=headers) as answer:
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):  # which may have no end
            await answer.aread()
    return answer


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """An answer to HEAD has no body: its header says the same."""
    if answer.request.method != "HEAD":
        return answer.status_code, code_of(answer)
    lacks_scope = "insufficient_scope" in answer.headers["www-authenticate"]
    return answer.status_code, "common.missing_scope" if lacks_scope else "common.unauthenticated"


@every_operation
def test_an_operation_demands_a_scope_or_is_known_to_be_public(operation: Operation) -> None:
    assert bool(operation.scopes) != (operation.path in PUBLIC)


@every_protected_operation
def test_what_changes_something_demands_more_than_a_scope_to_read(operation: Operation) -> None:
    reads = operation.method in ("GET", "HEAD") or operation.id in READING_POSTS

    assert reads or not all(scope.endswith(":read") for scope in operation.scopes)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_answers_to_nothing_but_what_it_documents(service: str) -> None:
    known = {path.format(service=service) for path in UNDOCUMENTED}

    public = {route for route in routes(app_of(service)) if route[1].startswith(PUBLIC_ROOTS)}

    assert {route for route in public - DOCUMENTED if route[1] not in known} == set()


async def test_what_is_served_is_the_document_that_the_proofs_are_generated_from(gateway: httpx.AsyncClient) -> None:
    served = await whole_document(gateway)

    assert (served["paths"], served["components"]) == (DOCUMENT["paths"], DOCUMENT["components"])


@every_protected_operation
async def test_nobody_may_do_anything(gateway: httpx.AsyncClient, operation: Operation) -> None:
    answer = await ask(gateway, operation, {})

    assert refusal(answer) == (401, "common.unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("operation", [one for one in PROTECTED if one.bodies], ids=str)
async def test_nobody_has_us_read_a_body_first(gateway: httpx.AsyncClient, operation: Operation) -> None:
    headers = {"Content-Type": next(iter(operation.bodies))}

    answer = await gateway.request(operation.method, operation.filled(), headers=headers, content="{")

    assert (answer.status_code, code_of(answer)) == (401, "common.unauthenticated")


@every_protected_operation
async def test_every_other_scope_is_not_enough(
    gateway: httpx.AsyncClient, as_admin: LogIn, operation: Operation
) -> None:
    for scope in operation.scopes:
        headers = await as_admin(EVERY_SCOPE - {scope})

        answer = await ask(gateway, operation, headers | {"Idempotency-Key": new_id()})

        assert refusal(answer) == (403, "common.missing_scope"), answer.text
        assert operation.method == "HEAD" or scope in message_of(answer)
        assert f'scope="{scope}"' in answer.headers["www-authenticate"]


@every_protected_operation
async def test_an_api_key_opens_it_unless_it_would_make_what_outlives_it(
    gateway: httpx.AsyncClient, user_key: str, admin_key: str, operation: Operation
) -> None:
    key = admin_key if FOR_ADMINS & set(operation.scopes) else user_key

    answer = await ask(gateway, operation, {"X-API-Key": key})

    if operation.takes_keys:
        assert answer.status_code not in (401, 403), answer.text
    else:
        assert (answer.status_code, code_of(answer)) == (403, "auth.api_key_refused")


def test_only_what_makes_keys_or_gives_rights_takes_none() -> None:
    assert {one.id for one in PROTECTED if not one.takes_keys} == {
        "auth_create_api_key",
        "auth_rotate_api_key",
        "auth_create_invitation",
        "auth_update_member",
    }


@pytest.mark.parametrize("service", SERVICES)
async def test_what_is_private_cannot_be_reached(gateway: httpx.AsyncClient, user: User, service: str) -> None:
    detours = ("", "/docs/..", f"/api/v1/{service}/%2e%2e/%2e%2e/..", "//x/..", "/docs/%2e%2e%2f")
    asked = [(method, detour + path) for method, path in private(service) for detour in detours]

    answers = {(method, path): await gateway.request(method, path, headers=user.headers) for method, path in asked}

    assert {
        place: answer.status_code for place, answer in answers.items() if answer.status_code not in (400, 404)
    } == {}
    assert ("GET", "/health/ready") in answers
