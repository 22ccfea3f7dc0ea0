"""The process in which Qdrant Edge runs: `python -m services.vectors.adapters.edge_worker DIRECTORY BYTES`.

Edge's Python binding holds the interpreter lock through every call (15 ms for a search over 100,000 vectors, seconds to
compact), so inside the service it would stop the event loop, whatever the thread. It runs here instead, one command at
a time, which also makes it the one writer each shard may have. The process ends when its standard input does.
"""

import array
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import orjson
import qdrant_edge as edge

from services.vectors.adapters.edge_protocol import HEADER_BYTES, Message, encode, lengths
from services.vectors.adapters.edge_shards import DENSE, WORDS, Large, Missing, Shard, Shards, Wordless

_READ_AT_ONCE = 32
_WRITES = frozenset({"upsert", "insert", "amend", "delete"})


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


def answer(shards: Shards, message: Message, blob: bytes) -> tuple[Message, bytes]:
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


def _read(source: BinaryIO) -> tuple[Message, bytes] | None:
    header = source.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return None
    body, blob = lengths(header)
    return orjson.loads(source.read(body)), source.read(blob)


def _reply(shards: Shards, message: Message, blob: bytes) -> bytes:
    try:
        body, floats = answer(shards, message, blob)
    except Missing:
        body, floats = {"error": "missing"}, b""
    except Wordless:
        body, floats = {"error": "wordless"}, b""
    except Large:
        body, floats = {"error": "large"}, b""
    except Exception as error:  # noqa: BLE001 - the binding raises bare Exception; the service decides what it means
        body, floats = {"error": "failed", "detail": f"{type(error).__name__}: {error}"}, b""
    return encode(body | {"id": message["id"]}, floats)


def main(root: Path, most_bytes: int) -> None:
    """Answer commands until standard input ends; vectors of `most_bytes` are in memory."""
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the engine prints must not get between frames
    shards = Shards(root, most_bytes)
    while frame := _read(source):
        message, blob = frame
        sink.write(_reply(shards, message, blob))
        sink.flush()
        if message["do"] in _WRITES and (shard := shards.peek(message["name"])):
            shard.compact_when_due()
    shards.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
