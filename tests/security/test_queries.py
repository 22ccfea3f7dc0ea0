"""No operation takes a parameter that it does not know, or one twice: what is ignored answers what nobody asked for."""

import httpx

from tests.security.conftest import EVERY_SCOPE, LogIn
from tests.security.spec import OPERATIONS, Operation, Schema, parts

# RFC 6749, section 3.2: an authorization server ignores what it does not recognize.
IGNORING = {"/api/v1/auth/token", "/api/v1/auth/logout", "/api/v1/auth/revoke", "/api/v1/auth/introspect"}


def takes_many(schema: Schema) -> bool:
    return any(one.get("type") == "array" for one in (schema, *parts(schema)))


async def test_every_operation_names_what_it_does_not_know(gateway: httpx.AsyncClient, as_admin: LogIn) -> None:
    headers = await as_admin(EVERY_SCOPE)

    async def refused(operation: Operation) -> tuple[int, list[tuple[str, str]]]:
        asked = {"limti": "7"}
        answer = await gateway.request(operation.method, operation.filled(), params=asked, headers=headers)
        problems = answer.json()["errors"] if answer.status_code == 422 and answer.content else []
        return answer.status_code, [(one["pointer"], one["code"]) for one in problems]

    answers = {str(one): await refused(one) for one in OPERATIONS if one.path not in IGNORING and one.method != "HEAD"}

    named = (422, [("query/limti", "query_unknown")])
    assert {operation: answer for operation, answer in answers.items() if answer != named} == {}


async def test_every_parameter_that_is_no_list_is_taken_once(gateway: httpx.AsyncClient, as_admin: LogIn) -> None:
    headers = await as_admin(EVERY_SCOPE)
    asked = [
        (operation, parameter["name"])
        for operation in OPERATIONS
        for parameter in operation.parameters
        if parameter["in"] == "query" and not takes_many(parameter["schema"])
    ]

    async def refused(operation: Operation, name: str) -> list[tuple[str, str]]:
        answer = await gateway.get(operation.filled(), params=[(name, "1"), (name, "2")], headers=headers)
        return [(one["pointer"], one["code"]) for one in answer.json().get("errors", [])]

    answers = {(str(operation), name): await refused(operation, name) for operation, name in asked}

    assert len(answers) > len({operation for operation, _ in answers}) > 10
    assert {asked for asked, answer in answers.items() if answer != [(f"query/{asked[1]}", "query_repeated")]} == set()
