"""The engines alone, on one thread: `python nearest.py KIND FILE`. Imports nothing of ours.

FILE has vectors, queries and their true neighbours. It prints `ready`, and for each line of its input, which is
`search SECONDS` or `store BATCH MOST`, a line of JSON.
"""

import json
import os
import shutil
import sys
import tempfile
import time

import numpy as np

NEAREST = 10
EDGE_FILES = tempfile.mkdtemp(prefix="bench-edge-")


class Flat:
    """FAISS comparing all."""

    def __init__(self, dimension):
        import faiss

        faiss.omp_set_num_threads(1)
        self.index = self.made(faiss, dimension)

    def made(self, faiss, dimension):
        return faiss.IndexFlatIP(dimension)

    def add(self, _, vectors):
        self.index.add(vectors)

    def search(self, query):
        return self.index.search(query[np.newaxis], NEAREST)[1][0]

    def tune(self, _):
        """Nothing is missed."""


class Graph(Flat):
    """FAISS by its graph, which is searched as little as finds 95 of 100."""

    def made(self, faiss, dimension):
        index = faiss.IndexHNSWFlat(dimension, 16, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 100
        return index

    def tune(self, recall):
        for effort in (10, 16, 24, 32, 48, 64, 96, 128, 256, 512):
            self.index.hnsw.efSearch = effort
            if recall() >= 0.95:
                return


class Edge:
    """Qdrant Edge comparing all; what is added is on disk."""

    def __init__(self, dimension):
        import qdrant_edge as edge

        self.edge = edge
        shutil.rmtree(EDGE_FILES, ignore_errors=True)
        os.mkdir(EDGE_FILES)  # noqa: PTH102
        self.shard = edge.EdgeShard.create(
            EDGE_FILES,
            edge.EdgeConfig(
                edge.EdgeVectorParams(dimension, edge.Distance.Dot, hnsw_config=edge.HnswIndexConfig(0, 100, 10_000))
            ),
        )

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

    def tune(self, _):
        """Nothing is missed."""


KINDS = {"flat": Flat, "graph": Graph, "edge": Edge}


def recall(engine, queries, truth):
    found = [
        len(set(map(int, engine.search(query))) & set(best.tolist()))
        for query, best in zip(queries, truth, strict=True)
    ]
    return sum(found) / (len(found) * NEAREST)


def search(engine, queries, seconds):
    taken, cpu, end = [], time.process_time(), time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        engine.search(queries[len(taken) % len(queries)])
        taken.append(time.perf_counter() - began)
    return {"done": len(taken), "seconds": sum(taken), "cpu": time.process_time() - cpu, "taken": taken}


def store(kind, vectors, batch):
    engine, taken, cpu = KINDS[kind](vectors.shape[1]), [], time.process_time()
    for first in range(0, len(vectors), batch):
        began = time.perf_counter()
        engine.add(first, vectors[first : first + batch])
        taken.append(time.perf_counter() - began)
    return {"done": len(vectors), "seconds": sum(taken), "cpu": time.process_time() - cpu, "taken": taken}


def main():
    kind, file = sys.argv[1:]
    kept = np.load(file)
    vectors, queries, truth = kept["vectors"], kept["queries"], kept["truth"]
    engine = KINDS[kind](vectors.shape[1])
    for first in range(0, len(vectors), 1000):
        engine.add(first, vectors[first : first + 1000])
    engine.tune(lambda: recall(engine, queries, truth))
    print(json.dumps({"recall": recall(engine, queries, truth)}), flush=True)
    for line in sys.stdin:
        do, *numbers = line.split()
        if do == "search":
            found = search(engine, queries, float(numbers[0]))
        else:
            found = store(kind, vectors[: int(numbers[1])], int(numbers[0]))
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    try:
        main()
    finally:
        shutil.rmtree(EDGE_FILES, ignore_errors=True)
