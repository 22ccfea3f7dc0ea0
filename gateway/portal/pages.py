"""The pages people read: the API reference over five documents, and the catalogue of errors.

Every script, style and image comes from here, none from elsewhere, and the pages may load nothing else.
"""

import os
import re
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Final, Literal

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope

from gateway.portal.catalogue import CATALOGUE, NO_STATUS, ErrorEntry, Section, read_catalogue
from services.topology import SERVICES

STATIC: Final = Path(__file__).parent / "static"
_SECURITY_HEADERS: Final = {
    # Swagger UI draws its icons as `data:` images.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_CODE = re.compile(r"`([^`]+)`")
ServiceName = Literal[*SERVICES]  # type: ignore[valid-type] # FastAPI reads it, mypy cannot

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


class _Assets(StaticFiles):
    """Files that browsers may keep for an hour; afterwards they ask whether the tag is still the same."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "public, max-age=3600"
        return response


def mount_assets(app: FastAPI) -> None:
    """Serve our own files and Swagger UI's, which the `fastapi-swagger` distribution carries."""
    app.mount("/docs/assets/swagger", _Assets(packages=[("fastapi_swagger", "resources")]))
    app.mount("/docs/assets", _Assets(directory=STATIC))


@router.get("/docs")
async def reference() -> HTMLResponse:
    """The API reference over all services."""
    return _page(_reference("all"))


@router.get("/api/v1/{service}/docs")
async def service_reference(service: ServiceName) -> HTMLResponse:
    """The API reference of one service."""
    return _page(_reference(service))


@router.get("/docs/errors")
async def errors() -> HTMLResponse:
    """Every stable error code; `type` of a problem leads to its row."""
    return _page(_errors())


def _page(html: str) -> HTMLResponse:
    return HTMLResponse(html, headers=_SECURITY_HEADERS)


@cache
def _reference(selected: str) -> str:
    document = "/api/v1/openapi.json" if selected == "all" else f"/api/v1/{selected}/openapi.json"
    page = Template((STATIC / "reference.html").read_text())
    return page.substitute(title=selected, document=document, navigation=_navigation(selected))


def _navigation(selected: str) -> str:
    pages = {"all": "/docs"} | {name: f"/api/v1/{name}/docs" for name in SERVICES} | {"errors": "/docs/errors"}
    current = ' aria-current="page"'
    return "\n".join(
        f'<a href="{href}"{current if name == selected else ""}>{name}</a>' for name, href in pages.items()
    )


@cache
def _errors() -> str:
    introduction, *sections = read_catalogue(CATALOGUE.read_text())
    page = Template((STATIC / "errors.html").read_text())
    return page.substitute(
        navigation=_navigation("errors"),
        title=escape(introduction.title),
        introduction=_paragraphs(introduction),
        sections="\n".join(_section(section) for section in sections),
    )


def _section(section: Section) -> str:
    rows = "\n".join(_row(entry) for entry in section.entries)
    head = "<tr><th>Code</th><th>Status</th><th>Meaning</th></tr>"
    table = f"<table><thead>{head}</thead><tbody>\n{rows}\n</tbody></table>" if section.entries else ""
    return f"<section><h2>{escape(section.title)}</h2>\n{_paragraphs(section)}\n{table}</section>"


def _row(entry: ErrorEntry) -> str:
    link = f'<a href="#{entry.code}"><code>{entry.code}</code></a>'
    return (
        f'<tr id="{entry.code}"><td>{link}</td><td>{entry.status or NO_STATUS}</td><td>{_text(entry.meaning)}</td></tr>'
    )


def _paragraphs(section: Section) -> str:
    return "\n".join(f"<p>{_text(paragraph)}</p>" for paragraph in section.paragraphs)


def _text(markdown: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(markdown))
