"""What the rows V1 and V2 search and store: the corpus, in our service and in Chroma's own server."""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx

from bench.corpus import Corpus

FAISS, EDGE, CHROMA = "bench-faiss", "bench-edge", "bench-chroma"
_AT_ONCE = 500
_NAME = "bench-fresh-" + "0" * 8
_JSON, _BYTES = {"Content-Type": "application/json"}, {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class Fresh:
    """An empty collection; the batches were written for one whose name is as long."""

    name: str

    def named(self, body: bytes) -> bytes:
        return body.replace(_NAME.encode(), self.name.encode(), 1)


@dataclass(frozen=True)
class Kept:
    """`url` of our service for whom `headers` stand for, `chroma` of the other's database."""

    corpus: Corpus
    url: str
    headers: Mapping[str, str]
    chroma: str

    @property
    def mib(self) -> float:
        """Of the vectors themselves."""
        return self.corpus.count * self.corpus.dimension * 4 / 2**20

    def stored(self, most: int) -> int:
        return min(most, self.corpus.count)

    @cached_property
    def _chroma_ids(self) -> dict[str, str]:
        return {}

    def chroma_url(self, collection: str) -> str:
        return f"{self.chroma}/collections/{self._chroma_ids[collection]}"

    def fill(self) -> None:
        """Have the whole corpus in all three."""
        with httpx.Client(base_url=self.url, headers=self.headers, timeout=60) as client:
            for name, engine in ((FAISS, "faiss"), (EDGE, "qdrant")):
                self._create(client, name, engine)
                for kind, body in self.byte_batches(_AT_ONCE, self.corpus.count, name):
                    client.post("/api/v1/vectors/store", headers=kind, content=body).raise_for_status()
        with httpx.Client(timeout=60) as client:
            self._create_in_chroma(client, CHROMA)
            for batch in self.chroma_batches(_AT_ONCE, self.corpus.count):
                client.post(f"{self.chroma_url(CHROMA)}/upsert", json=batch).raise_for_status()

    @contextmanager
    def fresh(self, engine: str) -> Iterator[Fresh]:
        name = f"bench-fresh-{secrets.token_hex(4)}"
        with httpx.Client(base_url=self.url, headers=self.headers, timeout=60) as client:
            self._create(client, name, engine)
            yield Fresh(name)
            client.delete(f"/api/v1/vectors/collections/{name}").raise_for_status()

    @contextmanager
    def fresh_in_chroma(self) -> Iterator[str]:
        name = f"bench-fresh-{secrets.token_hex(4)}"
        with httpx.Client(timeout=60) as client:
            self._create_in_chroma(client, name)
            yield self.chroma_url(name)
            client.delete(f"{self.chroma}/collections/{name}").raise_for_status()

    def _create(self, client: httpx.Client, name: str, engine: str) -> None:
        body = {"name": name, "engine": engine, "dimension": self.corpus.dimension, "metric": "cosine"}
        client.post("/api/v1/vectors/collections", json=body).raise_for_status()

    def _create_in_chroma(self, client: httpx.Client, name: str) -> None:
        client.delete(f"{self.chroma}/collections/{name}")  # of a run before
        body = {"name": name, "configuration": {"hnsw": {"space": "cosine"}}}
        answer = client.post(f"{self.chroma}/collections", json=body).raise_for_status()
        self._chroma_ids[name] = answer.json()["id"]

    # --- Batches ------------------------------------------------------------------------------------------------------

    def json_batches(self, size: int, most: int, name: str = _NAME) -> list[tuple[dict[str, str], bytes]]:
        bodies = []
        for first, items in self._items(size, most):
            for at, item in enumerate(items, first):
                item["vector"] = self.corpus.vectors[at].tolist()
            bodies.append((_JSON, json.dumps({"collection": name, "items": items}).encode()))
        return bodies

    def byte_batches(self, size: int, most: int, name: str = _NAME) -> list[tuple[dict[str, str], bytes]]:
        bodies = []
        for first, items in self._items(size, most):
            header = json.dumps({"collection": name, "items": items}).encode()
            matrix = self.corpus.vectors[first : first + len(items)].astype("<f4").tobytes()
            bodies.append((_BYTES, len(header).to_bytes(8, "little") + header + matrix))
        return bodies

    def chroma_batches(self, size: int, most: int) -> Iterator[dict[str, Any]]:
        for first, items in self._items(size, most):
            yield {
                "ids": [item["id"] for item in items],
                "documents": [item["text"] for item in items],
                "metadatas": [item["metadata"] for item in items],
                "embeddings": self.corpus.vectors[first : first + len(items)].tolist(),
            }

    def _items(self, size: int, most: int) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        stored = self.stored(most)
        for first in range(0, stored, size):
            yield (
                first,
                [
                    {"id": str(at), "text": self.corpus.text(at), "metadata": self.corpus.metadata(at)}
                    for at in range(first, min(first + size, stored))
                ],
            )
