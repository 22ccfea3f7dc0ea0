"""No operation takes a parameter that it does not know, or one twice: what is ignored answers what nobody asked for."""

import httpx

from tests.security.conftest import EVERY_SCOPE, LogIn
from tests.security.spec import OPERATIONS, Operation, Schema, parts

# RFC 6749, section 3.2: an authorization server ignores what it does not recognize.
IGNORING = {"/api/v1/auth/token", "/api/v1/auth/logout", "/api/v1/auth/revoke", "/api/v1/auth/introspect"}


def named(operation: Operation, answer: httpx.Response) -> list[tuple[str, str]]:
    """The parameters of the query that a refusal names, each with a code; of OpenAI's the first alone."""
    if not answer.is_error or not answer.content:
        return []
    if operation.answers_as_openai:
        error = answer.json()["error"]
        return [(error["param"], error["code"])]
    problems = answer.json().get("errors", [])
    return [(one["pointer"].removeprefix("query/"), one["code"]) for one in problems]


def takes_many(schema: Schema) -> bool:
    return any(one.get("type") == "array" for one in (schema, *parts(schema)))


async def test_every_operation_names_what_it_does_not_know(gateway: httpx.AsyncClient, as_admin: LogIn) -> None:
    headers = await as_admin(EVERY_SCOPE)

    async def refused(operation: Operation) -> tuple[int, list[tuple[str, str]]]:
        asked = {"limti": "7"}
        answer = await gateway.request(operation.method, operation.filled(), params=asked, headers=headers)
        return answer.status_code, named(operation, answer)

    answers = {str(one): await refused(one) for one in OPERATIONS if one.path not in IGNORING and one.method != "HEAD"}

    as_openai = {str(one) for one in OPERATIONS if one.answers_as_openai}
    problem, error = (422, [("limti", "query_unknown")]), (400, [("limti", "common.invalid")])
    wrong = {one: found for one, found in answers.items() if found != (error if one in as_openai else problem)}
    assert wrong == {}


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
        return named(operation, answer)

    answers = {(str(operation), name): await refused(operation, name) for operation, name in asked}

    assert len(answers) > len({operation for operation, _ in answers}) > 10
    as_openai = {str(one) for one in OPERATIONS if one.answers_as_openai}
    code = {True: "common.invalid", False: "query_repeated"}
    wrong = {asked for asked, found in answers.items() if found != [(asked[1], code[asked[0] in as_openai])]}
    assert wrong == set()
