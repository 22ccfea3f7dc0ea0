"""The address that the operations of a document are at."""

from typing import Final
from urllib.parse import urljoin

from services.agents.openapi.domain import Node
from services.agents.openapi.reading import Operation

_MOST_VARIABLES: Final = 16
_LONGEST: Final = 2_048


def url_of(operation: Operation, server: str | None, read_from: str | None) -> str:
    """The template of its URL, at `server` or at the first that the document names, for the narrowest part of it.

    `read_from` is where the document was, for a server that is told relative to it. Raises Inexpressible.
    """
    return (server or _named(operation, read_from)).rstrip("/") + operation.path


def _named(operation: Operation, read_from: str | None) -> str:
    root = operation.node.document.top
    for holder in (operation.node, operation.item, root):
        for server in holder.child("servers").items():
            return _whole(server, read_from)
    return _joined(root.child("servers"), "/", read_from)


def _whole(server: Node, read_from: str | None) -> str:
    """With its variables as they are by default."""
    url = server.text("url") or ""
    for number, (name, variable) in enumerate(server.child("variables").members()):
        if number == _MOST_VARIABLES:
            server.refuse("server_invalid", f"A server has {_MOST_VARIABLES} variables at most.")
        default = variable.text("default") or ""
        if len(default) * url.count(f"{{{name}}}") + len(url) > _LONGEST:
            server.refuse("server_invalid", f"A server's address has {_LONGEST:,} characters at most.")
        url = url.replace(f"{{{name}}}", default)
    if set("{}?#") & set(url):
        server.refuse("server_invalid", "A server's address has neither ? nor #, and a default for each variable.")
    return _joined(server, url, read_from)


def _joined(server: Node, url: str, read_from: str | None) -> str:
    if url.lower().startswith(("https://", "http://")):
        return url
    if read_from is None:
        server.refuse("server_missing", "The document does not say which host it is about: give `server`.")
    return urljoin(read_from, url)
