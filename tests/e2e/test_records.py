"""A collection as a caller goes through it: listed, counted, amended and measured through the gateway."""

import httpx

from shared.schemas import new_id
from tests.fixtures.identity import User

API = "/api/v1/vectors"


async def test_records_are_listed_counted_and_amended_through_the_gateway(
    gateway: httpx.AsyncClient, user: User
) -> None:
    name, place = f"e2e-{new_id()[-12:]}", "größe/a b"
    made = await gateway.post(
        f"{API}/collections", json={"name": name, "engine": "faiss", "dimension": 2}, headers=user.headers
    )
    tagged = {**user.headers, "If-Match": made.headers["ETag"]}
    items = [{"id": one, "vector": [1, at], "metadata": {"größe": at}} for at, one in enumerate(["a", "b", place])]
    body = {"collection": name, "items": items, "if_absent": True}
    for existing in ([], ["a", "b", place]):
        stored = await gateway.post(f"{API}/store", json=body, headers=user.headers)
        assert (stored.status_code, stored.json()["existing"]) == (200, existing), stored.text

    records = f"{API}/collections/{name}/records"
    changed = await gateway.patch(
        f"{records}/gr%C3%B6%C3%9Fe%2Fa%20b", json={"metadata": {"größe": 1, "neu": True}}, headers=user.headers
    )
    asked = {"filter": '{"field": "größe", "op": "gte", "value": 1}', "count": "true", "limit": "1"}
    first = (await gateway.get(records, params=asked, headers=user.headers)).json()
    second = (await gateway.get(records, params=asked | {"cursor": first["next_cursor"]}, headers=user.headers)).json()
    usage = (await gateway.get(f"{API}/usage", headers=user.headers)).json()
    deleted = await gateway.delete(f"{API}/collections/{name}", headers=tagged)

    assert (changed.status_code, changed.json()["metadata"]) == (200, {"größe": 1, "neu": True})
    assert [item["id"] for page in (first, second) for item in page["items"]] == ["b", place]
    assert (first["count"], second["count"], second["next_cursor"]) == (2, 2, None)
    assert usage["records"] >= 3
    assert deleted.status_code == 204
