"""The process in which Qdrant Edge runs: `python -m services.vectors.adapters.edge_worker DIRECTORY BYTES`.

Edge's Python binding holds the interpreter lock through every call (15 ms for a search over 100,000 vectors, seconds to
compact), so inside the service it would stop the event loop, whatever the thread. It runs here instead, one command at
a time, which also makes it the one writer each shard may have. The process ends when its standard input does.

To have a write on disk takes fifty times as long as to make it, however many there are. So commands that wait are taken
together: the writes of one shard go to disk at once, and are answered then.
"""

import array
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import qdrant_edge as edge

from services.vectors.adapters.edge_intake import Frame, Intake, by_shard
from services.vectors.adapters.edge_protocol import Message, encode
from services.vectors.adapters.edge_shard import DENSE, WORDS, Large, Shard, Wordless
from services.vectors.adapters.edge_shards import Missing, Shards

_READ_AT_ONCE = 32
_HELD_BYTES = 2**22
"""Of answers that wait for a write to be on disk: with more of them it goes there at once."""
_WRITES = frozenset({"upsert", "insert", "amend", "delete", "give_words"})

Answered = tuple[Message, bytes]


def edge_filter(data: Message | None) -> edge.Filter | None:
    """Qdrant's JSON filter as Edge's objects; None for none."""
    if data is None:
        return None
    parts: dict[str, Any] = {word: list(map(_edge_condition, conditions)) for word, conditions in data.items()}
    return edge.Filter(**parts)


def _edge_condition(data: Message) -> Any:
    match data:
        case {"has_id": ids}:
            return edge.HasIdCondition({UUID(one) for one in ids})
        case {"key": key, "match": {"value": value}}:
            return edge.FieldCondition(key, match=edge.MatchValue(value))
        case {"key": key, "match": {"any": values}}:
            return edge.FieldCondition(key, match=edge.MatchAny(values))
        case {"key": key, "range": bounds}:
            return edge.FieldCondition(key, range=edge.RangeFloat(**bounds))
        case _:
            return edge_filter(data)


def _dense(kept: Any) -> list[float]:
    """Of a point's vectors, which are given by their names, but for one that is alone and has none."""
    dense: list[float] = kept[DENSE] if isinstance(kept, dict) else kept
    return dense


def answer(shards: Shards, message: Message, blob: bytes) -> Answered:
    """Do what `message` says. Raises Missing, or whatever Edge does."""
    name = message.get("name", "")
    match message["do"]:
        case "create":
            shards.create(name, message["dimension"], message["metric"], message["indexes"])
        case "holds":
            return {"holds": shards.holds(name)}, b""
        case "drop":
            shards.drop(name)
        case "give_words":
            return {"after": shards.get(name).give_words(message["field"], message["after"])}, b""
        case "close_idle":
            return {"open": shards.close_idle(message["seconds"])}, b""
        case "upsert":
            vectors = _vectors(message["words"], blob)
            shards.get(name).upsert(message["points"], vectors, message["numbers"], message["most"])
        case "insert":
            vectors = _vectors(message["words"], blob)
            new = shards.get(name).insert(message["points"], vectors, message["numbers"], message["most"])
            return {"new": new}, b""
        case "amend":
            return {"amended": shards.get(name).amend(message)}, b""
        case "page":
            records = shards.get(name).page(
                message["after"],
                message["limit"],
                edge_filter(message["filter"]),
                message["returned"],
                with_vectors=message["vectors"],
            )
            listed = [number for record in records if record.vector for number in _dense(record.vector)]
            sizes, contents = _contents([record.payload for record in records], message["bytes"])
            return {"sizes": sizes}, contents + array.array("f", listed).tobytes()
        case "search":
            vector, wanted = array.array("f", blob).tolist(), edge_filter(message["filter"])
            shard = shards.get(name)
            return _hits(shard, shard.search(vector, message["limit"], wanted), message)
        case "search_words":
            shard, wanted = shards.get(name), edge_filter(message["filter"])
            return _hits(shard, shard.search_words(message["tokens"], message["limit"], wanted), message)
        case "find":
            found = shards.get(name).find(message["point"])
            if found:
                return {"payload": found.payload}, array.array("f", _dense(found.vector)).tobytes()
        case "delete":
            doomed = edge_filter(message["filter"])
            assert doomed is not None, "a deletion names what to delete"  # noqa: S101
            return {"count": shards.get(name).delete(doomed)}, b""
        case "count":
            return {"count": shards.get(name).count(edge_filter(message["filter"]))}, b""
    return {}, b""


def _hits(shard: Shard, found: list[edge.ScoredPoint], message: Message) -> tuple[Message, bytes]:
    sizes, contents = list[int](), list[bytes]()
    left = message["bytes"]
    for start in range(0, len(found), _READ_AT_ONCE):  # so that no more is read than may be sent
        ids = [hit.id for hit in found[start : start + _READ_AT_ONCE]]
        some, part = _contents(shard.payloads(ids, message["returned"]), left)
        sizes += some
        contents.append(part)
        left -= len(part)
    return {"scores": [hit.score for hit in found], "sizes": sizes}, b"".join(contents)


def _contents(payloads: list[Any], most: int) -> tuple[list[int], bytes]:
    """Each as JSON of its own, for whoever reads them one by one. Raises Large beyond `most` bytes."""
    written = [orjson.dumps(payload) for payload in payloads]
    sizes = list(map(len, written))
    if sum(sizes) > most:
        raise Large
    return sizes, b"".join(written)


def _vectors(words: list[int], blob: bytes) -> list[dict[str, Any]]:
    """Those of each point by their names; `words` says how many each has, which come last, tokens before weights."""
    total = sum(words)
    dense = array.array("f", blob[: len(blob) - 8 * total]).tolist()
    tokens = array.array("I", blob[len(blob) - 8 * total : len(blob) - 4 * total]).tolist()
    weights = array.array("f", blob[len(blob) - 4 * total :]).tolist()
    size, at, made = len(dense) // len(words), 0, list[dict[str, Any]]()
    for point, number in enumerate(words):
        vector: dict[str, Any] = {DENSE: dense[point * size : (point + 1) * size]}
        if number:
            vector[WORDS] = edge.SparseVector(tokens[at : at + number], weights[at : at + number])
        made.append(vector)
        at += number
    return made


def _answered(shards: Shards, message: Message, blob: bytes) -> Answered:
    """The same, or why not."""
    try:
        return answer(shards, message, blob)
    except Missing:
        return {"error": "missing"}, b""
    except Wordless:
        return {"error": "wordless"}, b""
    except Large:
        return {"error": "large"}, b""
    except Exception as error:  # noqa: BLE001 - the binding raises bare Exception; the service decides what it means
        return _failed(error), b""


def _failed(error: Exception) -> Message:
    return {"error": "failed", "detail": f"{type(error).__name__}: {error}"}


def replies(shards: Shards, name: str, frames: Sequence[Frame]) -> Iterator[bytes]:
    """To the commands about one shard, in their order; none that tells of a write before the write is on disk.

    What is read in between may have what then fails to reach the disk.
    """
    held: list[tuple[Message, Answered]] = []
    size = 0
    for message, blob in frames:
        answered = _answered(shards, message, blob)
        held.append((message, answered))
        size += len(answered[1])
        is_settled = (shard := shards.peek(name)) is None or shard.is_settled
        if is_settled or size > _HELD_BYTES:
            yield _encoded(held if is_settled else _settled(shards, name, held))
            held, size = [], 0
    if held:
        yield _encoded(_settled(shards, name, held))


def _settled(shards: Shards, name: str, held: list[tuple[Message, Answered]]) -> list[tuple[Message, Answered]]:
    """What failed to reach the disk was not written, for all who asked for it."""
    try:
        if shard := shards.peek(name):
            shard.settle()
    except Exception as error:  # noqa: BLE001 - as above
        failed: Answered = _failed(error), b""
        return [(asked, failed if _wrote(asked, answered) else answered) for asked, answered in held]
    return held


def _wrote(asked: Message, answered: Answered) -> bool:
    return asked["do"] in _WRITES and "error" not in answered[0]


def _encoded(held: list[tuple[Message, Answered]]) -> bytes:
    return b"".join(encode(body | {"id": asked["id"]}, floats) for asked, (body, floats) in held)


def main(root: Path, most_bytes: int) -> None:
    """Answer commands until standard input ends; vectors of `most_bytes` are in memory."""
    intake, sink = Intake(0), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the engine prints must not get between frames
    shards = Shards(root, most_bytes)
    while frames := intake.waiting():
        for some in by_shard(frames):
            name = some[0][0].get("name", "")
            for reply in replies(shards, name, some):
                sink.write(reply)
                sink.flush()
            if any(message["do"] in _WRITES for message, _ in some):
                _compact(shards, name)
    shards.close()


def _compact(shards: Shards, name: str) -> None:
    """Nobody waits for it, and nobody's command fails for it: as where the disk has no room for another copy."""
    try:
        if shard := shards.peek(name):
            shard.compact_when_due()
    except Exception as error:  # noqa: BLE001 - as above
        print(f"{name} was not compacted: {_failed(error)['detail']}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
