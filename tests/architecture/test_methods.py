"""A path answers 405 to every method its document does not name, and says which it does."""

import re

import httpx
import pytest

from tests.architecture.apps import APPS, app_of
from tests.fixtures.wording import code_of

METHODS = {"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE"}
PATHS = [(service, path) for service in APPS for path in app_of(service).openapi()["paths"]]


@pytest.mark.parametrize(("service", "path"), PATHS, ids=[path for _, path in PATHS])
async def test_undocumented_methods_are_refused_with_the_documented_ones(service: str, path: str) -> None:
    app = app_of(service)
    documented = {method.upper() for method in app.openapi()["paths"][path]}
    documented |= {"HEAD"} if "GET" in documented else set()
    concrete = re.sub(r"\{\w+\}", "01890a5d-ac96-774b-bcce-b302099a8057", path)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        answers = [await client.request(method, concrete) for method in sorted(METHODS - documented)]

    refusal = (405, ", ".join(sorted(documented)))
    assert {(one.status_code, one.headers["allow"]) for one in answers} == {refusal}
    assert {code_of(one) for one in answers if one.content} == {"common.method_not_allowed"}
