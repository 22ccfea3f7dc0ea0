"""An engine alone: `python nearest.py KIND FILE FILES`. Imports nothing of ours.

FILES is a folder for what it writes. FILE has vectors, queries and their true neighbours. It prints a line of JSON
when it is filled, and another for each line of its input, which is `search SECONDS` or `store BATCH MOST`.
"""

import json
import sys
import tempfile
import time

import databases
import numpy as np

NEAREST, ENOUGH = databases.NEAREST, 0.95


class Flat:
    """FAISS comparing all, on one thread."""

    def __init__(self, dimension, files):  # noqa: ARG002 - it has none
        import faiss

        faiss.omp_set_num_threads(1)
        self.index = self.made(faiss, dimension)

    def made(self, faiss, dimension):
        return faiss.IndexFlatIP(dimension)

    def fill(self, vectors):
        self.index.add(vectors)

    def add(self, _, vectors):
        self.index.add(vectors)

    def search(self, query):
        return self.index.search(query[np.newaxis], NEAREST)[1][0]

    def efforts(self):
        """Ever more of what finds more; nothing is missed."""
        return (None,)

    def exert(self, _):
        pass

    def cpu_seconds(self):
        return time.process_time()

    def searched(self, queries, seconds):
        """How long each took, and the processor time of all."""
        taken, cpu, end = [], time.process_time(), time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            self.search(queries[len(taken) % len(queries)])
            taken.append(time.perf_counter() - began)
        return {"done": len(taken), "seconds": sum(taken), "cpu": time.process_time() - cpu, "taken": taken}


class Graph(Flat):
    """FAISS by its graph (HNSW)."""

    def made(self, faiss, dimension):
        index = faiss.IndexHNSWFlat(dimension, 16, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 100
        return index

    def efforts(self):
        return (10, 16, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256, 512)

    def exert(self, effort):
        self.index.hnsw.efSearch = effort


class Edge(Flat):
    """Qdrant Edge comparing all, on one thread; what is added is on disk."""

    def __init__(self, dimension, files):
        import qdrant_edge as edge

        self.edge, parameters = edge, edge.EdgeVectorParams
        plain = edge.HnswIndexConfig(0, 100, 10_000)
        self.shard = edge.EdgeShard.create(
            files, edge.EdgeConfig(parameters(dimension, edge.Distance.Dot, hnsw_config=plain))
        )

    def fill(self, vectors):
        for first in range(0, len(vectors), 1000):
            self.add(first, vectors[first : first + 1000])

    def add(self, first, vectors):
        points = [
            self.edge.Point(at, vector.tolist(), {"percent": at % 100, "source": "volume", "public": True})
            for at, vector in enumerate(vectors, first)
        ]
        self.shard.update(self.edge.UpdateOperation.upsert_points(points))
        self.shard.flush()

    def search(self, query):
        asked = self.edge.QueryRequest(
            limit=NEAREST, query=self.edge.Query.Nearest(query.tolist()), params=self.edge.SearchParams(exact=True)
        )
        return [point.id for point in self.shard.query(asked)]


KINDS = {
    "raw flat": Flat,
    "raw graph": Graph,
    "raw edge": Edge,
    "lancedb": databases.Lance,
    "pgvector": databases.Pgvector,
}


def recall(engine, queries, truth):
    found = [
        len(set(map(int, engine.search(query))) & set(best.tolist()))
        for query, best in zip(queries, truth, strict=True)
    ]
    return sum(found) / (len(found) * NEAREST)


def tuned(engine, queries, truth):
    """Its recall with the least effort that finds enough."""
    for effort in engine.efforts():
        engine.exert(effort)
        if (found := recall(engine, queries, truth)) >= ENOUGH:
            break
    return {"recall": found, "effort": effort}


def store(kind, vectors, batch, files):
    with tempfile.TemporaryDirectory(dir=files) as fresh:
        engine, taken = KINDS[kind](vectors.shape[1], fresh), []
        cpu = engine.cpu_seconds()
        for first in range(0, len(vectors), batch):
            began = time.perf_counter()
            engine.add(first, vectors[first : first + batch])
            taken.append(time.perf_counter() - began)
        spent = engine.cpu_seconds() - cpu
        return {"done": len(vectors), "seconds": sum(taken), "cpu": spent, "taken": taken}


def main(kind, file, files):
    kept = np.load(file)
    vectors, queries, truth = kept["vectors"], kept["queries"], kept["truth"]
    engine = KINDS[kind](vectors.shape[1], tempfile.mkdtemp(dir=files))
    engine.fill(vectors)
    print(json.dumps(tuned(engine, queries, truth)), flush=True)
    for line in sys.stdin:
        do, *numbers = line.split()
        if do == "search":
            found = engine.searched(queries, float(numbers[0]))
        else:
            found = store(kind, vectors[: int(numbers[1])], int(numbers[0]), files)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
