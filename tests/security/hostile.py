"""A valid body, and what somebody hostile makes of it: the cases of `test_hostile_bodies.py`, by family.

A body is taken as text: much of what is tried no JSON library would write.
"""

import copy
import json
import random
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, Final, NamedTuple
from urllib.parse import quote, quote_plus, urlencode

from tests.security.hostile_values import FRAGMENTS, HEADER_VALUES, RAW_VALUES
from tests.security.spec import MISSING_ID, Operation, Schema, example, parts, resolved

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
KIB: Final = 2**10
LARGEST: Final = 6_000 * KIB  # below what the gateway refuses by itself
SIZES: Final = (60 * KIB, 1_000 * KIB, 2_000 * KIB, LARGEST)
"""Just below the bounds that routes have, so that some body of each shape is read wherever it is sent."""


class Attack(NamedTuple):
    """One body, or what makes it: of a family only some are sent. `is_whole`: the valid one in other words, to be
    answered alike."""

    family: str
    name: str
    content: bytes | Callable[[], bytes]
    media_type: str = JSON
    is_whole: bool = False

    @property
    def body(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else self.content()

    def request(self, headers: dict[str, str]) -> dict[str, Any]:
        """What a client takes to send it."""
        told = {"Content-Type": self.media_type} if self.media_type else {}
        return {"content": self.body, "headers": headers | told}


def valid(body: Any) -> Attack:
    return Attack("none", "valid", json.dumps(body).encode())


def valid_form(form: dict[str, str]) -> Attack:
    return Attack("none", "valid", urlencode(form).encode(), FORM)


# --- What stands in a field -------------------------------------------------------------------------------------------

_MARK: Final = "@@here@@"


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where something stands in `value`: each member, and of a list the first item."""
    inside: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list) and value:
        inside = [(0, value[0])]
    for key, part in inside:
        yield (*at, key)
        yield from places(part, (*at, key))


def with_fragment(body: Any, place: tuple[str | int, ...], fragment: str) -> bytes:
    """The text of `body` with `fragment`, whatever it is, for what stands at `place`."""
    changed = copy.deepcopy(body)
    holder = changed
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = _MARK
    return json.dumps(changed).replace(f'"{_MARK}"', fragment).encode("utf-8", "surrogatepass")


def in_fields(body: Any) -> Iterator[Attack]:
    """Every field of a valid body with everything that it should not hold, one at a time."""
    for place in places(body):
        name = ".".join(map(str, place))
        for family, fragments in FRAGMENTS.items():
            for fragment in fragments:
                yield Attack(family, f"{name}={fragment[:40]}", with_fragment(body, place, fragment))


# --- What the whole is ------------------------------------------------------------------------------------------------


def members(body: Any, *more: str) -> bytes:
    """The text of an object with more members after its own."""
    return (
        "{" + ", ".join([*(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in body.items()), *more]) + "}"
    ).encode()


def in_other_words(body: Any) -> Iterator[Attack]:
    """The same body otherwise written: no reader may see a difference."""
    names = list(body)
    shuffled = random.Random(10).sample(names, len(names))
    escaped = "".join(f"\\u{ord(char):04x}" for char in names[0])
    yield Attack(
        "order", "backwards", json.dumps({name: body[name] for name in reversed(names)}).encode(), is_whole=True
    )
    yield Attack("order", "shuffled", json.dumps({name: body[name] for name in shuffled}).encode(), is_whole=True)
    yield Attack("order", "spaced", json.dumps(body, indent=40).encode(), is_whole=True)
    text = json.dumps(body).replace(json.dumps(names[0]) + ":", f'"{escaped}":', 1)
    yield Attack("order", "escaped", text.encode(), is_whole=True)


def in_duplicate(body: Any) -> Iterator[Attack]:
    for name, value in body.items():
        again = json.dumps(value)
        yield Attack("duplicates", f"{name} first wrong", b"{" + f'"{name}": [null], '.encode() + members(body)[1:])
        yield Attack("duplicates", f"{name} last wrong", members(body, f'"{name}": [null]'))
        yield Attack("duplicates", f"{name} a hundred times", members(body, *[f'"{name}": {again}'] * 100))
    yield Attack("duplicates", "100,000 times", members(body, *['"x": 1'] * 100_000))
    for name in (
        "__proto__",
        "constructor",
        "__class__",
        "",
        "\u0000",
        "\ud800",
        "a/b~c",
        "x" * 10_000,
        "\ufeff",
        "model_config",
    ):
        yield Attack("duplicates", f"unknown {name[:20]!r}", members(body, f"{json.dumps(name)}: 1"))


def as_text(body: Any) -> Iterator[Attack]:
    """What is no JSON, or none in UTF-8."""
    text = json.dumps(body)
    broken: dict[str, bytes] = {
        "half": text[: len(text) // 2].encode(),
        "twice": f"{text}{text}".encode(),
        "comma": f"{text[:-1]},}}".encode(),
        "comment": f"/**/{text}".encode(),
        "single quotes": text.replace('"', "'").encode(),
        "byte order mark": b"\xef\xbb\xbf" + text.encode(),
        "utf-16": text.encode("utf-16"),
        "utf-32": text.encode("utf-32"),
        "latin-1": b'{"name": "\xe9"}',
        "overlong": b'{"name": "\xc0\x80"}',
        "raw surrogate": b'{"name": "\xed\xa0\x80"}',
        "raw control": b'{"name": "\x00\x01\n"}',
        "bad escape": rb'{"name": "\x \u12"}',
        "zeros": bytes(1_000),
        "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
        **{
            f"only {whole}": whole.encode()
            for whole in ("null", "[]", '""', "0", "NaN", "{}", "[{}]", " ", "{", "]", '"', "-")
        },
    }
    for name, content in broken.items():
        yield Attack("text", name, content)
    for media_type in (
        "",
        "text/plain",
        "application/xml",
        "multipart/form-data",
        "application/json; charset=utf-16",
        "a/b" * 50,
    ):
        yield Attack("text", f"as {media_type[:40]!r}", text.encode(), media_type)


def in_size(body: Any, size: int) -> Iterator[Attack]:
    """Shapes that fill `size` bytes: each costs somebody most who does not look before reading."""
    text = json.dumps(body)
    shapes: dict[str, tuple[str, str, str]] = {
        "unknown members": ("{", '"%06x":1,', '"x":1}'),
        "unknown texts": ("{", '"%06x":"",', '"x":1}'),
        "members twice": ("{", '"x":1,', '"x":1}'),
        "a list for all": ("[", "1,", "1]"),
        "objects for all": ("[", "{},", "{}]"),
        "depth of lists": ("", "[", ""),
        "depth of objects": ("", '{"x":', ""),
        "depth and back": ("", "[", "1" + "]" * (size // 2)),
        "blanks": (text[:-1], " ", "}"),
        "digits": (text[:-1] + ', "x": ', "7", "}"),
        "one text": (text[:-1] + ', "x": "', "x", '"}'),
        "escapes": (text[:-1] + ', "x": "', r"\u0041", '"}'),
        "quotes": (text[:-1] + ', "x": "', r"\"", '"}'),
        "commas": ("[", ",", "]"),
    }
    for name, shape in shapes.items():
        yield Attack("bulk", f"{name}, {size:,} bytes", cache(partial(_filled, shape, size)))
    for place in places(body):
        if isinstance(_at(body, place), list):
            for item in ("1", '"x"', "{}", "[]", "null"):
                long = partial(_with_many, body, place, item, (size - len(text)) // (len(item) + 1))
                yield Attack("bulk", f"{place} of {item}, {size:,} bytes", cache(long))


def _filled(shape: tuple[str, str, str], size: int) -> bytes:
    begin, again, end = shape
    room = size - len(begin) - len(end)
    if "%" not in again:
        return f"{begin}{again * (room // len(again))}{end}".encode()
    return f"{begin}{''.join(again % at for at in range(room // len(again % 0)))}{end}".encode()


def _with_many(body: Any, place: tuple[str | int, ...], item: str, count: int) -> bytes:
    return with_fragment(body, place, f"[{','.join([item] * count)}]")


def _at(body: Any, place: tuple[str | int, ...]) -> Any:
    for key in place:
        body = body[key]
    return body


def of_json(body: Any) -> Iterator[Attack]:
    """What is tried with one valid body as a whole. Large ones come as they are asked for: a list would not fit."""
    yield from in_other_words(body)
    yield from in_duplicate(body)
    yield from as_text(body)
    for size in SIZES:
        yield from in_size(body, size)


# --- Forms and queries ------------------------------------------------------------------------------------------------


def of_form(form: dict[str, str]) -> Iterator[Attack]:
    """The same for a form."""
    whole = urlencode(form)

    def attack(family: str, name: str, body: str) -> Attack:
        return Attack(family, name, body.encode(), FORM)

    for name, value in form.items():
        rest = urlencode({other: kept for other, kept in form.items() if other != name})
        for raw in RAW_VALUES:
            yield attack("unicode", f"{name}={raw[:40]}", f"{rest}&{name}={raw}")
        yield attack("duplicates", f"{name} twice", f"{whole}&{name}={quote_plus(value)}")
        yield attack("types", f"{name}[]", f"{rest}&{name}[]={quote_plus(value)}")
        yield attack("sizes", f"{name} of 60 KB", f"{rest}&{name}={'x' * 60_000}")
    yield attack("order", "backwards", urlencode(dict(reversed(form.items()))))._replace(is_whole=True)
    for name, body in {"nothing": "", "signs": "&&&===&;", "bare": "grant_type", "unknown": f"{whole}&x=y"}.items():
        yield attack("text", name, body)
    for size in SIZES:
        yield attack("bulk", f"unknown fields, {size:,} bytes", whole + "&x=1" * (size // 4 - len(whole)))
        yield attack("bulk", f"signs, {size:,} bytes", "&" * size)
        yield attack("bulk", f"percents, {size:,} bytes", "x=" + "%41" * (size // 3 - 1))
        yield attack("bulk", f"one field, {size:,} bytes", "x" * size)
    yield Attack("text", "a part of many", b"--x\r\n\r\n1\r\n--x--", "multipart/form-data; boundary=x")
    yield Attack("text", "as JSON", json.dumps(form).encode())


def of_parameters(operation: Operation, path: str) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Family, name, address and further headers, for each parameter of the operation."""
    for parameter in operation.parameters:
        place, name = parameter["in"], parameter["name"]
        match place:
            case "query":
                for raw in RAW_VALUES:
                    yield "queries", f"{name}={raw[:40]}", f"{path}?{name}={raw}", {}
                yield "queries", f"{name} many times", f"{path}?" + f"{name}=1&" * 2_000, {}
            case "path":
                for raw in (one for one in RAW_VALUES if one):
                    yield "paths", f"{name}={raw[:40]}", operation.filled({name: quote(raw, safe="%+=*;[]{}")}), {}
            case "header":
                for value in HEADER_VALUES:
                    yield "headers", f"{name}: {value[:40]!r}", path, {name: value}


# --- Valid bodies -----------------------------------------------------------------------------------------------------


def full(schema: Schema) -> Any:
    """As `example`, with every member that there may be."""
    schema = resolved(schema)
    shown = schema.get("examples", [None])[0]
    if schema.get("type") == "object" and schema.get("properties"):
        return {name: full(part) for name, part in schema["properties"].items()} | (shown or {})
    if shown is not None:
        return shown
    if choices := parts(schema):
        return full(choices[0])
    if schema.get("type") == "array":
        return [full(schema["items"])]
    return example(schema)


def _search(full: dict[str, Any]) -> dict[str, Any]:
    """By a vector, which takes neither words nor weights, and which no model reads."""
    unread = ("query", "weights", "rerank", "rerank_candidates")
    taken = {name: value for name, value in full.items() if name not in unread}
    return taken | {"collection": "hostile", "mode": "dense"}


BODIES: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    # What its model takes together, where not everything at once.
    "vectors_store": lambda full: full | {"collection": "hostile"},
    "vectors_search": _search,
    "vectors_search_batch": lambda _: {"searches": [_search(full({"$ref": "#/components/schemas/SearchRequest"}))]},
    "vectors_delete": lambda full: {"collection": "hostile", "filter": full["filter"]},
    "vectors_create_file_batch": lambda full: {name: full[name] for name in ("file_ids", "attributes")},
    "agents_import_tools": lambda full: (
        {name: value for name, value in full.items() if name != "url"} | {"server": "https://weather.example.com/v1"}
    ),
    "chat_complete": lambda full: (
        {name: value for name, value in full.items() if name != "max_tokens"}
        | {"response_format": {"type": "text"}, "stream": False, "stream_options": None}
    ),
    "chat_create_response": lambda full: (
        {name: value for name, value in full.items() if name not in ("stream_options", "conversation")}
        | {"input": [{"role": "user", "content": "Hello."}], "include": [], "stream": False, "background": False}
        | {"text": {"format": {"type": "text"}}, "tools": [{"type": "function", "name": "look"}], "tool_choice": "auto"}
    ),
    "chat_compact_response": lambda full: full | {"input": [{"role": "user", "content": "Hello."}]},
    "chat_regenerate": lambda full: {"stream": full["stream"]},  # a form is not what a small model keeps to
    "chat_send_message": lambda full: (
        {name: value for name, value in full.items() if name != "metadata"}
        | {"agent_id": MISSING_ID, "conversation_id": MISSING_ID, "stream": False}
    ),
}
"""Where a full body is not a valid one: what is, made of it."""
