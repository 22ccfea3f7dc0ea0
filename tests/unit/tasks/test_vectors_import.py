"""`vectors.import`: what is asked of vectors, from where an attempt goes on, and how a refusal names its record."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.tasks.errors import PermanentFailure
from services.tasks.kinds.vectors_import import VECTORS_IMPORT, ImportInput
from shared.errors import FieldProblem, Relayed
from tests.unit.tasks.dumping import HEADER, FilesContext, jsonl
from tests.unit.tasks.fakes import conflict

STORE, COLLECTIONS = "POST /api/v1/vectors/store", "POST /api/v1/vectors/collections"
FILE = "01890a5d-ac96-774b-bcce-b302099a8057"
CATS = {"status": "ready", "name": "cats", "engine": "faiss", "dimension": 2, "metric": "cosine", "model": "m"}
RECORDS = [{"id": f"{number}", "vector": [number, 1]} for number in range(600)]


def takes(_call: str, _body: Any) -> Any:
    return {}


def there(call: str, _body: Any) -> Any:
    """The collection exists."""
    if call == COLLECTIONS:
        raise conflict("vectors.collection_exists")
    return CATS | {"count": 300}


def there_anew(call: str, body: Any) -> Any:
    """The collection exists, and holds less than was stored: it was deleted, and somebody has made it again."""
    return there(call, body) | {"count": 299}


def dump(*records: Any, **collection: Any) -> bytes:
    return jsonl(HEADER | {"collection": HEADER["collection"] | collection}, *records)


async def run(context: FilesContext, **fields: Any) -> dict[str, Any]:
    return await VECTORS_IMPORT.execute(context, {"file_id": FILE, **fields})


def stored(context: FilesContext) -> list[str]:
    return [item["id"] for body in context.bodies(STORE) for item in body["items"]]


async def test_the_collection_of_the_header_is_made_and_filled_with_progress() -> None:
    context = FilesContext(takes, content=dump(*RECORDS))

    result = await run(context)

    assert result == {"collection": "cats", "format": "jsonl", "records": 600}
    assert context.bodies(COLLECTIONS) == [{"name": "cats", "engine": "faiss", "metric": "cosine", "dimension": 2}]
    assert stored(context) == [one["id"] for one in RECORDS]
    assert [done for done, _ in context.reports] == [0, 256, 512, 600]


async def test_the_input_says_more_than_the_header() -> None:
    context = FilesContext(takes, content=dump())

    await run(context, collection="dogs", engine="chroma", metric="l2", if_absent=True)

    assert context.bodies(COLLECTIONS) == [{"name": "dogs", "engine": "chroma", "metric": "l2", "dimension": 2}]


async def test_the_model_of_the_header_is_the_collections() -> None:
    context = FilesContext(takes, content=dump(model="m"))

    await run(context)

    assert context.bodies(COLLECTIONS)[0]["model"] == "m"


async def test_if_absent_is_passed_on() -> None:
    context = FilesContext(takes, content=dump(RECORDS[0]))

    await run(context, if_absent=True)

    assert [body["if_absent"] for body in context.bodies(STORE)] == [True]


@pytest.mark.parametrize(
    ("answers", "first"),
    [(there, "300"), (takes, "0"), (there_anew, "0")],
    ids=["there", "gone-meanwhile", "made-anew-meanwhile"],
)
async def test_an_attempt_goes_on_where_the_one_before_had_got_to(answers: Any, first: str) -> None:
    context = FilesContext(answers, content=dump(*RECORDS), attempt=2, done_before=300)

    await run(context)

    assert (stored(context)[0], stored(context)[-1]) == (first, "599")
    assert context.reports[0] == (int(first), 600)


@pytest.mark.parametrize(
    ("content", "fields", "code", "words"),
    [
        (dump(dimension=3), {}, "tasks.dump_dimension", "dimension is 2, not 3"),
        (dump(), {"engine": "chroma"}, "tasks.engine_mismatch", "'faiss', not 'chroma'"),
        (dump(), {"metric": "dot"}, "tasks.metric_mismatch", "'cosine', not 'dot'"),
        (dump(model="other"), {}, "tasks.model_mismatch", "'m', not 'other'"),
        (jsonl(RECORDS[0]), {}, "tasks.dump_unnamed", "name one"),
        (dump(*RECORDS, "{"), {}, "tasks.dump_record_invalid", "Line 602"),
    ],
    ids=["dimension", "engine", "metric", "model", "name", "line"],
)
async def test_what_does_not_fit_is_refused_before_anything_is_stored(
    content: bytes, fields: dict[str, Any], code: str, words: str
) -> None:
    context = FilesContext(there, content=content)

    with pytest.raises(PermanentFailure, match=words) as refused:
        await run(context, **fields)

    assert (refused.value.code, stored(context)) == (code, [])


@pytest.mark.parametrize(
    ("code", "status"), [("vectors.quota_exceeded", "ready"), ("vectors.collection_exists", "deleting")]
)
async def test_a_collection_that_cannot_be_had_ends_it_in_the_words_of_vectors(code: str, status: str) -> None:
    def refuses(call: str, _body: Any) -> Any:
        if call == COLLECTIONS:
            raise conflict(code)
        return CATS | {"status": status}

    context = FilesContext(refuses, content=dump(*RECORDS))

    with pytest.raises(Relayed) as refused:
        await run(context)

    assert (refused.value.code, stored(context)) == (code, [])


async def test_a_record_that_vectors_refuse_is_named_by_its_line() -> None:
    def refuses(call: str, _body: Any) -> Any:
        if call == STORE:
            problem = FieldProblem(pointer="/items/1/metadata", code="metadata_value", detail="null is not allowed.")
            raise Relayed(422, "common.validation_failed", "Invalid", "fields", errors=[problem])
        return {}

    context = FilesContext(refuses, content=dump(*RECORDS[:3]))

    with pytest.raises(PermanentFailure, match=r"Line 3: metadata: null is not allowed\."):
        await run(context)


async def test_a_model_that_is_slow_or_busy_is_asked_for_less_or_later() -> None:
    busy = [True]

    def slow(call: str, body: Any) -> Any:
        if call == STORE and busy:
            busy.clear()
            raise Relayed(503, "vectors.embeddings_busy", "Busy", "later", headers={"Retry-After": "0"})
        if call == STORE and len(body["items"]) > 10:
            raise Relayed(422, "vectors.too_much_text", "Too much", "less")
        return {}

    texts = [{"id": f"{number}", "text": "cat"} for number in range(30)]
    context = FilesContext(slow, content=dump(*texts))

    await run(context)

    taken = [item["id"] for body in context.bodies(STORE) if len(body["items"]) <= 10 for item in body["items"]]
    assert taken == [one["id"] for one in texts]


@pytest.mark.parametrize(
    "fields",
    [{"file_id": "mine"}, {"engine": "lucene"}, {"format": "csv"}, {"collection": "No Spaces"}, {"unknown": 1}],
    ids=["id", "engine", "format", "name", "unknown"],
)
def test_what_means_nothing_is_refused_at_submit(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ImportInput.model_validate({"file_id": FILE, **fields})
