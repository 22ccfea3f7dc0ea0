"""The pages load everything from here, forbid the rest, and explain every error."""

import re
from html.parser import HTMLParser

import httpx
import pytest

from gateway.portal.catalogue import CATALOGUE, read_catalogue
from services.topology import SERVICES

PAGES = ["/docs", "/docs/errors", *(f"/api/v1/{service}/docs" for service in SERVICES)]


class Loaded(HTMLParser):
    """What a page loads, what it leads to, which elements have names, and whether it has code of its own."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: dict[str, bool] = {}
        self.ids: set[str] = set()
        self.inline = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        place = values.get("src") or (values.get("href") if tag == "link" else None)
        self.loads += [place] if place else []
        self.inline |= tag == "style" or "style" in values or (tag == "script" and "src" not in values)
        if tag == "a" and (href := values.get("href")):
            self.links[href] = values.get("aria-current") == "page"
        if identifier := values.get("id"):
            self.ids.add(identifier)


@pytest.mark.parametrize("path", PAGES)
async def test_pages_load_only_from_here(portal: httpx.AsyncClient, path: str) -> None:
    page = Loaded((await portal.get(path)).text)

    assert page.loads
    assert not page.inline
    for place in page.loads:
        assert place.startswith("/docs/assets/")
        assert (await portal.get(place)).status_code == 200


@pytest.mark.parametrize("path", PAGES)
async def test_pages_forbid_everything_from_elsewhere(portal: httpx.AsyncClient, path: str) -> None:
    answer = await portal.get(path)

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"https?:", policy)
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_reference_lists_the_five_services(portal: httpx.AsyncClient) -> None:
    page = Loaded((await portal.get("/docs")).text)

    assert {f"/api/v1/{service}/docs" for service in SERVICES} <= set(page.links)
    assert page.links["/docs"]


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_has_a_reference_of_its_own(portal: httpx.AsyncClient, service: str) -> None:
    answer = await portal.get(f"/api/v1/{service}/docs")

    assert f'data-document="/api/v1/{service}/openapi.json"' in answer.text
    assert Loaded(answer.text).links[f"/api/v1/{service}/docs"]


async def test_browsers_need_not_load_an_asset_twice(portal: httpx.AsyncClient) -> None:
    first = await portal.get("/docs/assets/swagger/swagger-ui.css")

    again = await portal.get("/docs/assets/swagger/swagger-ui.css", headers={"If-None-Match": first.headers["etag"]})

    assert "max-age" in first.headers["cache-control"]
    assert again.status_code == 304


@pytest.mark.parametrize("path", ["/docs/assets/../pages.py", "/docs/assets/%2e%2e/settings.py", "/docs/assets/none"])
async def test_nothing_but_assets_is_served(portal: httpx.AsyncClient, path: str) -> None:
    answer = await portal.get(path)

    assert answer.status_code == 404
    assert answer.json()["code"] == "common.no_route"


async def test_the_type_of_a_problem_leads_to_its_row(portal: httpx.AsyncClient) -> None:
    problem = (await portal.get("/api/v1/nowhere")).json()
    path, _, anchor = problem["type"].partition("#")

    page = Loaded((await portal.get(path)).text)

    assert anchor == problem["code"]
    assert anchor in page.ids


async def test_every_catalogued_code_has_a_row(portal: httpx.AsyncClient) -> None:
    entries = [entry for section in read_catalogue(CATALOGUE.read_text()) for entry in section.entries]

    page = Loaded((await portal.get("/docs/errors")).text)

    assert {entry.code for entry in entries} <= page.ids
    assert len({entry.code for entry in entries}) == len(entries)


def test_a_broken_row_of_the_catalogue_is_refused() -> None:
    with pytest.raises(ValueError, match="not a row"):
        read_catalogue("# Errors\n\n| `some.code` | many | unclear |")
