"""What the merged document says is what there is, through the gateway: no method more, and no operation less."""

import re
from collections import defaultdict

import httpx
import pytest

from gateway.portal.merge import merge
from services.topology import SERVICES
from tests.architecture.apps import app_of
from tests.fixtures.wording import code_of
from tests.security.spec import OPERATIONS, PUBLIC

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
DOCUMENTED = defaultdict[str, set[str]](set)
for one in OPERATIONS:
    DOCUMENTED[one.path] |= {one.method, "HEAD"} if one.method == "GET" else {one.method}
_OPERATIONS = {(one.method, one.path) for one in OPERATIONS}
FILLED = {one.path: one.filled() for one in OPERATIONS}
OF_SEGMENTS = {"{model}": ".*"}
"""What may have slashes as they are: OpenAI's clients do not encode those of `org/model`."""


async def test_the_document_that_is_served_is_that_of_the_code(gateway: httpx.AsyncClient) -> None:
    served = (await gateway.get("/api/v1/openapi.json")).raise_for_status().json()
    documents = {name: app_of(name).openapi() for name in SERVICES} | {"gateway": app_of("portal").openapi()}

    assert served["paths"].keys() == merge(documents, {})["paths"].keys() == DOCUMENTED.keys()
    assert {path: set(item) for path, item in served["paths"].items()} == {
        path: {method.lower() for method in methods if (method, path) in _OPERATIONS}
        for path, methods in DOCUMENTED.items()
    }


@pytest.mark.parametrize("path", DOCUMENTED)
async def test_methods_of_no_operation_are_refused_with_those_there_are(gateway: httpx.AsyncClient, path: str) -> None:
    refused = (405, ", ".join(sorted(DOCUMENTED[path])))

    answers = {method: await gateway.request(method, FILLED[path]) for method in METHODS - DOCUMENTED[path]}

    assert {m: (one.status_code, one.headers.get("allow")) for m, one in answers.items()} == dict.fromkeys(
        answers, refused
    )
    assert {code_of(one) for one in answers.values() if one.content} <= {"common.method_not_allowed"}


@pytest.mark.parametrize("path", [path for path in DOCUMENTED if path not in PUBLIC])
async def test_methods_of_operations_reach_them(gateway: httpx.AsyncClient, path: str) -> None:
    """Where the door asks who is there, whatever the rest is."""
    answers = {method: await gateway.request(method, FILLED[path]) for method in DOCUMENTED[path]}

    assert {method: one.status_code for method, one in answers.items()} == dict.fromkeys(answers, 401)


@pytest.mark.parametrize("path", DOCUMENTED)
async def test_nothing_lies_around_a_path(gateway: httpx.AsyncClient, path: str) -> None:
    known = [re.compile(re.sub(r"{\w+}", lambda name: OF_SEGMENTS.get(name[0], "[^/]+"), one)) for one in DOCUMENTED]
    around = [FILLED[path] + "/", FILLED[path] + "/unknown", FILLED[path].rpartition("/")[0]]

    answers = {near: await gateway.get(near) for near in around if not any(one.fullmatch(near) for one in known)}

    assert {near: one.status_code for near, one in answers.items() if one.status_code != 404} == {}
