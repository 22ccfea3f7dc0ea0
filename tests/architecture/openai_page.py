"""Writes docs/openai.md from the routes in OpenAI's shapes, beside what its client can send: `make docs`.

Routes are found by how they word their errors, and what they take by their documents. A test compares.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from services.topology import SERVICES
from shared.openai import OPENAI
from tests.architecture.apps import app_of, dialect_of, operations
from tests.architecture.openai_calls import Call, Known, calls, members, unnamed, version

BASE: Final = "/api/v1"
NO: Final = "no"
HEAD: Final = """# OpenAI's clients

A client of OpenAI's that is pointed here talks to this installation: to its models, its agents, its collections, under
its identity, limits and log. Nothing in the client is changed but address and key.

```python
from openai import OpenAI

client = OpenAI(base_url="http://localhost:10200/api/v1", api_key="sutaz_live_…")
made = client.embeddings.create(model="multilingual-e5-small", input=["How are keys rotated?"])
```

The key is one of `POST /api/v1/auth/api-keys`, with the scopes of what is called; an access token serves too. Clients
that read the environment take `OPENAI_BASE_URL` and `OPENAI_API_KEY`. LangChain's `OpenAIEmbeddings` sends numbers in
place of text unless it is made with `check_embedding_ctx_length=False`.

## Errors

    {"error": {"message": "…", "type": "invalid_request_error", "param": "dimensions",
               "code": "vectors.dimensions_fixed"}}

`code` is [ours](errors.md) and stable. `param` is the first field to blame, and `message` names the others. What is not
valid is 400, where our other operations answer 422; every other status is the same. The client raises exceptions of its
own:

| status | `type` | exception of `openai` |
|---|---|---|
| 400 (and 413, 415) | `invalid_request_error` | `BadRequestError` (`APIStatusError`) |
| 401 | `authentication_error` | `AuthenticationError` |
| 403 | `permission_error` | `PermissionDeniedError` |
| 404 | `not_found_error` | `NotFoundError` |
| 409 | `conflict_error` | `ConflictError` |
| 429 | `rate_limit_error` | `RateLimitError` |
| 500 and above | `server_error` | `InternalServerError` |

What is unknown or not supported is refused by its name, and never ignored; null is the same as absent where a member
may be absent. What the gateway answers by itself (a service that is away, no such path) is problem+json; the client
raises the same exceptions for it, with the same `code`.

The client sends again by itself what was answered with 408, 409, 429 or 5xx, twice unless it is made with
`max_retries=0`. So that nothing is made twice, give a creating call `extra_headers={"Idempotency-Key": "…"}`, where its
operation takes one.

## Images

A user's message shows PNG, JPEG, WebP and GIF to a [model that sees them](models.md#models-that-see):

```python
url = "data:image/png;base64," + base64.b64encode(open("chart.png", "rb").read()).decode()
shown = {"type": "image_url", "image_url": {"url": url, "detail": "auto"}}
client.chat.completions.create(model="seer", messages=[{"role": "user", "content": [shown]}])
```

All of the image stands in the request: an address to fetch it from, or the id of a file, is refused by name. An image
is what its content says, whatever it is called. It may have 2 MiB and 50 million pixels, none of its sides more than
16,384; a message may show 16 images, a request have 4 MiB. `param` of a refusal names the part:
`messages[0].content[1].image_url.url`.

Responses and conversations take `{"type": "input_image", "image_url": url}` in messages of users, keep it, and show it
again to whoever goes on from there. Items tell what an image is (`media_type`, `width`, `height`, `size`); with
`include=["message.input_image.image_url"]` also all of it. What is kept with one response has a bound
(`chat.response_unkeepable`): with `store=False` nothing is.

## Limits

Beside `RateLimit` and `RateLimit-Policy`, answers have `x-ratelimit-limit-requests`, `x-ratelimit-remaining-requests`
and `x-ratelimit-reset-requests` of the limit that is nearest, and the same of `-tokens` where a token budget applies.
`x-request-id` is the id to quote, `openai-processing-ms` the time until the answer began.

## What is supported

"""
FOOT: Final = """
Written by `make docs` from the code.
"""


@dataclass(frozen=True)
class Offered:
    """One operation of ours, and the parameters that the client may send with it."""

    method: str
    path: str
    known: Known
    taken: dict[str, dict[str, Any]]
    """What ours takes: the schema of each, by name."""
    answered: frozenset[str]
    """The members of its answer, or of each item of a list."""

    @property
    def asked(self) -> tuple[str, ...]:
        return self.known.parameters

    @property
    def read(self) -> list[str]:
        """What the client reads of an answer."""
        return members(self.known.answer) if self.known.answer else []

    @property
    def missing(self) -> list[str]:
        return [name for name in self.read if name not in self.answered]

    @property
    def supported(self) -> list[str]:
        return [name for name in self.asked if name in self.taken and not _is_refused(self.taken[name])]

    @property
    def beyond(self) -> list[str]:
        return [name for name in self.taken if name not in self.asked]


def page() -> str:
    """The whole page."""
    offered = list(all_offered())
    supported, asked = sum(len(one.supported) for one in offered), sum(len(one.asked) for one in offered)
    read, absent = sum(len(one.read) for one in offered), sum(len(one.missing) for one in offered)
    missing = list(not_offered(offered))
    share = (
        f"Beside the Python client ({version()}), over {len(offered)} of its operations:\n\n"
        "| | the client's | here | share |\n|---|---|---|---|\n"
        f"| parameters that it can send | {asked} | {supported} | {supported / asked:.1%} |\n"
        f"| members that it reads of answers | {read} | {read - absent} | {(read - absent) / read:.1%} |\n\n"
        "Both are counted whole; what stands in each is in the documents of the operations, at `/docs`.\n"
    )
    elsewhere = "".join(f"- `{method} {path}`\n" for method, path in missing)
    rest = f"\n### Of the same resources, not offered\n\n{elsewhere}" if missing else ""
    return HEAD + share + "".join(map(section, offered)) + rest + FOOT


def all_offered() -> Iterator[Offered]:
    for operation in sorted(operations(*SERVICES), key=lambda one: (one[2], one[1])):
        if dialect_of(operation) is OPENAI:
            app, method, path, described = operation
            short = path.removeprefix(BASE)
            known = calls().get((method, unnamed(short)), Known((), None, is_list=False))
            answered = frozenset(_answered(app, described, known))
            yield Offered(method, short, known, dict(_taken(app, described)), answered)


def not_offered(offered: list[Offered]) -> Iterator[Call]:
    """What the client can call besides, of resources of which something is offered."""
    ours = {(one.method, unnamed(one.path)) for one in offered}
    resources = {_resource(one.path) for one in offered}
    yield from (
        call
        for call in sorted(calls(), key=lambda one: one[::-1])
        if call not in ours and _resource(call[1]) in resources
    )


def section(offered: Offered) -> str:
    """What is taken of what may be sent."""
    title = f"\n### `{offered.method} {offered.path}`\n\n"
    if not offered.asked and not offered.beyond:
        return f"{title}It takes nothing but the path. {_answer(offered)}\n"
    share = f"{len(offered.supported)} of {len(offered.asked)} parameters. {_answer(offered)}\n\n"
    share += "| parameter | supported |\n|---|---|\n"
    rows = [f"| `{name}` | {_support(offered.taken.get(name))} |\n" for name in offered.asked]
    rows += [f"| `{name}` | ours alone{_values(offered.taken[name])} |\n" for name in offered.beyond]
    return title + share + "".join(rows)


def _answer(offered: Offered) -> str:
    model = offered.known.answer
    if model is None:
        return ""
    absent = ", ".join(f"`{name}`" for name in offered.missing)
    count = f"{len(offered.read) - len(offered.missing)} of {len(offered.read)}"
    return f"{count} members of `{model.__name__}`{f', but not {absent}' if absent else ''}."


def _support(schema: dict[str, Any] | None) -> str:
    return NO if schema is None or _is_refused(schema) else f"yes{_values(schema)}"


def _values(schema: dict[str, Any]) -> str:
    """Those that there are to choose from."""
    found = [
        value for one in _alternatives(schema) for value in one.get("enum", [one["const"]] if "const" in one else [])
    ]
    written = ", ".join(f"`{str(value).lower() if isinstance(value, bool) else value}`" for value in found)
    return f": {written}" if found else ""


def _is_refused(schema: dict[str, Any]) -> bool:
    return all(one.get("type") == "null" for one in _alternatives(schema))


def _alternatives(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return schema.get("anyOf") or [schema]


def _taken(app: str, described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Members of the body, whatever its form, and parameters of the query."""
    for content in described.get("requestBody", {}).get("content", {}).values():
        yield from _resolved(app, content["schema"]).get("properties", {}).items()
    for one in described.get("parameters", ()):
        if one["in"] == "query":
            yield one["name"].removesuffix("[]"), one["schema"]


def _answered(app: str, described: dict[str, Any], known: Known) -> Iterator[str]:
    """Members of an answer of success that is JSON, whichever of several it is."""
    for status, answer in described["responses"].items():
        schema = answer.get("content", {}).get("application/json", {}).get("schema") if status.startswith("2") else None
        for one in _alternatives(_resolved(app, schema or {})):
            properties = _resolved(app, one).get("properties", {})
            if known.is_list:
                properties = _resolved(app, properties.get("data", {}).get("items", {})).get("properties", {})
            yield from properties


def _resolved(app: str, schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = app_of(app).openapi()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def _resource(path: str) -> str:
    return path.split("/")[1]


if __name__ == "__main__":
    sys.stdout.write(page())
