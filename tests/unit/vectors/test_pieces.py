"""A body parsed record by record says what it says parsed at once."""

import json
import random
from typing import Any

import orjson
import pytest

from services.vectors.records import pieces
from shared.door import TooComplex

TRICKY = ["", "a", '"', "\\", '\\"', "[", "]", "{}", "[0]", "},{", "\u2028", "\\\\", "ü" * 30, "x" * 500]


def anything(chance: random.Random, depth: int) -> Any:
    leaf = [chance.choice(TRICKY), chance.randint(-9, 9), chance.random(), None, True]
    if depth == 0 or chance.random() < 0.3:
        return chance.choice(leaf)
    inner = [anything(chance, depth - 1) for _ in range(chance.randint(0, 4))]
    return inner if chance.random() < 0.5 else {chance.choice(TRICKY) + str(at): one for at, one in enumerate(inner)}


@pytest.mark.parametrize("seed", range(50))
def test_it_says_what_is_said_at_once(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(40):
        said = anything(chance, 6)
        for indent in (None, 2):
            body = json.dumps(said, indent=indent, ensure_ascii=chance.random() < 0.5).encode()

            assert pieces.loads(body) == orjson.loads(body) == said


def test_the_last_of_two_members_counts_as_at_once() -> None:
    body = b'{"a": [{"x": 1}, [2]], "a": [[0], {"y": [3]}], "b": {"c": [1]}}'

    assert pieces.loads(body) == orjson.loads(body)


@pytest.mark.parametrize("seed", range(50))
def test_what_is_no_json_is_none_in_pieces_either(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(40):
        whole = bytearray(json.dumps({"items": anything(chance, 5)}).encode())
        for _ in range(chance.randint(1, 3)):
            whole[chance.randrange(len(whole))] = chance.choice(b'[]{}",:\\x0 ')
        body = bytes(whole)
        try:
            said = orjson.loads(body)
        except json.JSONDecodeError:
            with pytest.raises(json.JSONDecodeError):
                pieces.loads(body)
        else:
            assert pieces.loads(body) == said


def test_an_error_tells_its_place_in_the_whole() -> None:
    body = b'{"items": [{"a": 1}, {"a": nope}]}'

    with pytest.raises(json.JSONDecodeError) as error:
        pieces.loads(body)

    assert body[error.value.pos :].startswith((b"nope", b"ope"))


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b'{"items": [{"v": [' + b"1," * 2_100_000 + b"1]}]}", "record"),
        (b'{"items": [], "more": "' + b"x" * 70_000 + b'"}', "Beside"),
        (b'{"items": [' + b"1," * 70_000 + b"1]}", "Beside"),
        (b'{"items": [{"text": "' + rb"\"" * 70_000 + b'"}]}', "escapes"),
        (b'{"items": [{"text": "' + b"x" * 1_100_000 + b'"}]}', "1 MiB"),
        (b'{"items": []}' + b" " * 8_000_000, "Beside"),
    ],
    ids=["record", "text beside", "numbers beside", "escapes", "long text", "white space"],
)
def test_what_would_hold_everybody_up_is_refused(body: bytes, what: str) -> None:
    with pytest.raises(TooComplex, match=what):
        pieces.loads(body)


def test_a_thousand_records_of_everyday_are_taken() -> None:
    items = [{"id": str(at), "vector": [0.5] * 768, "metadata": {"tags": ["a", "b"]}} for at in range(1000)]

    assert pieces.loads(json.dumps({"collection": "c", "items": items}).encode())["items"] == items
