"""Vectors as bytes, in a body of their own or as base64 in JSON: stored, found and refused as those of lists."""

import base64
import json
from typing import Any

import httpx
import numpy as np
import pytest

from tests.services.vectors.test_records import ENGINES, SEARCH, STORE, collection

BYTES = {"Content-Type": "application/octet-stream"}


def body_of(header: Any, matrix: Any, dtype: str = "<f4") -> bytes:
    written = json.dumps(header).encode()
    return len(written).to_bytes(8, "little") + written + np.asarray(matrix, dtype).tobytes()


async def post(client: httpx.AsyncClient, path: str, body: bytes, **headers: str) -> httpx.Response:
    return await client.post(path, content=body, headers=BYTES | headers)


async def refusal(client: httpx.AsyncClient, path: str, body: bytes) -> tuple[int, str, str]:
    """Status, code, and the place and the words of the first problem."""
    answer = await post(client, path, body)
    problem = answer.json()
    first = problem.get("errors", [{"pointer": "", "code": problem["code"]}])[0]
    return answer.status_code, first["pointer"], first["code"]


def coded(*numbers: float) -> str:
    return base64.b64encode(np.array(numbers, "<f4").tobytes()).decode()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
async def test_bytes_are_stored_and_found_as_lists_are(client: httpx.AsyncClient, engine: str, dtype: str) -> None:
    name, short = await collection(client, engine, dimension=3), {"float32": "<f4", "float16": "<f2"}[dtype]
    matrix = [[1, 0.5, 0], [0, 1, 0.25], [0, 0, 1]]
    items = [{"id": f"{at}", "text": f"text {at}", "metadata": {"n": at}} for at in range(3)]

    stored = await post(client, STORE, body_of({"collection": name, "items": items, "dtype": dtype}, matrix, short))
    asked = {"collection": name, "k": 2, "filter": {"field": "n", "op": "gt", "value": 0}}
    found = await post(client, SEARCH, body_of({**asked, "dtype": dtype}, [0, 1, 0], short))
    by_list = await client.post(SEARCH, json=asked | {"vector": [0, 1, 0]})
    by_text = await client.post(SEARCH, json=asked | {"vector": coded(0, 1, 0)})

    assert stored.json() == {"collection": name, "engine": engine, "stored": 3, "ids": ["0", "1", "2"], "existing": []}
    assert [one["id"] for one in found.json()["results"]] == ["1", "2"]
    assert found.json()["results"] == by_list.json()["results"] == by_text.json()["results"]
    record = (await client.get(f"/api/v1/vectors/collections/{name}/records/0")).json()
    assert (record["text"], record["metadata"]) == ("text 0", {"n": 0})
    assert record["vector"] == pytest.approx([0.894427, 0.447214, 0], abs=1e-6)


async def test_a_large_matrix_is_stored_whole(client: httpx.AsyncClient) -> None:
    name = await collection(client, "faiss", dimension=1536, metric="dot")
    matrix = np.random.default_rng(1).normal(size=(1000, 1536)).astype("<f4")
    items = [{"id": f"{at}"} for at in range(1000)]

    stored = await post(client, STORE, body_of({"collection": name, "items": items}, matrix))

    assert stored.json()["stored"] == 1000
    for at in (0, 999):
        record = await client.get(f"/api/v1/vectors/collections/{name}/records/{at}")
        assert np.array_equal(np.array(record.json()["vector"], "<f4"), matrix[at])


async def test_base64_and_lists_stand_beside_each_other(client: httpx.AsyncClient) -> None:
    name = await collection(client, "faiss", dimension=2, metric="dot")
    items = [{"id": "a", "vector": coded(1, 2)}, {"id": "b", "vector": [3, 4]}]

    (await client.post(STORE, json={"collection": name, "items": items})).raise_for_status()

    records = [(await client.get(f"/api/v1/vectors/collections/{name}/records/{one}")).json() for one in "ab"]
    assert [record["vector"] for record in records] == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        ("AAAA", "3 bytes"),
        ("", "0 bytes"),
        ("no base64!", "no base64"),
        (base64.b64encode(bytes(4 * 4097)).decode(), "16388 bytes"),
    ],
    ids=["no whole number", "nothing", "no base64", "too many"],
)
async def test_base64_that_is_no_vector_is_refused(client: httpx.AsyncClient, vector: str, words: str) -> None:
    answer = await client.post(SEARCH, json={"collection": "any", "vector": vector})

    (problem,) = answer.json()["errors"]
    assert (answer.status_code, problem["pointer"], problem["code"]) == (422, "/vector", "vector_form")
    assert words in problem["detail"]


async def test_what_is_no_finite_number_is_refused_as_in_lists(client: httpx.AsyncClient) -> None:
    name = await collection(client, "faiss", dimension=2)
    header = {"collection": name, "items": [{}, {}]}

    for value in (np.nan, np.inf):
        answer = await post(client, STORE, body_of(header, [[1, 2], [3, value]]))
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/items/1/vector")
        assert answer.json()["errors"][0]["code"] == "not_finite"
    coded_one = await client.post(SEARCH, json={"collection": name, "vector": coded(1, np.nan)})
    assert coded_one.json()["errors"][0]["code"] == "not_finite"


async def test_a_body_that_is_no_header_and_matrix_is_refused_by_what_is_wrong(client: httpx.AsyncClient) -> None:
    name = await collection(client, "faiss", dimension=2)
    header: dict[str, Any] = {"collection": name, "items": [{}, {}]}
    fits = body_of(header, [[1, 2], [3, 4]])

    assert await refusal(client, STORE, fits[:-1]) == (422, "", "matrix_form")
    assert await refusal(client, STORE, fits[:6]) == (422, "", "matrix_form")
    assert await refusal(client, STORE, bytes(8)) == (422, "", "matrix_form")
    assert await refusal(client, STORE, b"\xff" * 64) == (422, "", "matrix_form")
    assert await refusal(client, STORE, (4).to_bytes(8, "little") + b"{,}}" + bytes(8)) == (422, "", "json_invalid")
    assert await refusal(client, STORE, body_of(header, [])) == (422, "", "matrix_form")
    assert await refusal(client, STORE, body_of(header | {"dtype": "int8"}, [1, 2])) == (422, "/dtype", "matrix_form")
    assert await refusal(client, STORE, body_of(header, [[1, 2, 3]] * 2)) == (
        422,
        "/items/0/vector",
        "dimension_mismatch",
    )
    twice = {"collection": name, "items": [{}, {"vector": [1, 2]}]}
    assert await refusal(client, STORE, body_of(twice, [[1, 2]] * 2)) == (422, "/items/1/vector", "matrix_form")
    unknown = header | {"colour": "red"}
    assert await refusal(client, STORE, body_of(unknown, [[1, 2]] * 2)) == (422, "/colour", "extra_forbidden")
    both = {"collection": name, "query": "in words"}
    assert await refusal(client, SEARCH, body_of(both, [1, 2])) == (422, "", "query_or_vector")
    many = {"collection": name, "items": [{}] * 1001}
    assert await refusal(client, STORE, body_of(many, [[1, 2]] * 1001)) == (422, "/items", "too_long")


async def test_limits_are_those_of_the_other_door(client: httpx.AsyncClient) -> None:
    large = await post(client, SEARCH, body_of({"collection": "any"}, np.zeros(200_000)))
    deep = {"collection": "any", "items": [{"metadata": json.loads("[" * 40 + "]" * 40)}]}
    complex_one = await post(client, STORE, body_of(deep, [1, 2]))
    other = await client.post(STORE, content=b"<xml/>", headers={"Content-Type": "text/xml"})

    assert (large.status_code, large.json()["code"]) == (413, "common.too_large")
    assert (complex_one.status_code, complex_one.json()["code"]) == (422, "common.too_complex")
    assert other.status_code == 415
    assert "application/octet-stream" in other.json()["detail"]


async def test_a_repetition_of_bytes_is_the_same_request(client: httpx.AsyncClient) -> None:
    name = await collection(client, "faiss", dimension=2)
    body = body_of({"collection": name, "items": [{}, {}]}, [[1, 2], [3, 4]])
    key = {"Idempotency-Key": f"bytes-{name}"}

    first, again = [await post(client, STORE, body, **key) for _ in range(2)]
    other = await post(client, STORE, body[:-1] + b"\x41", **key)

    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert other.json()["code"] == "common.idempotency_key_reused"
