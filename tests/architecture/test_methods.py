"""A path answers 405 to every method its document does not name, and says which it does."""

import re

import httpx
import pytest

from services.topology import SERVICES
from tests.architecture.apps import app_of
from tests.fixtures.wording import code_of

METHODS = {"GET", "PUT", "POST", "PATCH", "DELETE"}
PATHS = [(service, path) for service in SERVICES for path in app_of(service).openapi()["paths"]]


@pytest.mark.parametrize(("service", "path"), PATHS, ids=[path for _, path in PATHS])
async def test_undocumented_methods_are_refused_with_the_documented_ones(service: str, path: str) -> None:
    app = app_of(service)
    documented = {method.upper() for method in app.openapi()["paths"][path]}
    concrete = re.sub(r"\{\w+\}", "01890a5d-ac96-774b-bcce-b302099a8057", path)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        answers = [await client.request(method, concrete) for method in sorted(METHODS - documented)]

    refusal = (405, "common.method_not_allowed", ", ".join(sorted(documented)))
    assert {(one.status_code, code_of(one), one.headers["allow"]) for one in answers} == {refusal}
