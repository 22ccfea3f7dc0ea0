"""LanceDB and PostgreSQL with pgvector, asked by several at once. Imports nothing of ours.

Each is set up as its documentation advises, keeps what our service keeps, the text and three fields, and gives it back.
"""

import asyncio
import itertools
import os
import struct
import time

NEAREST, CALLERS = 10, 8
FIELDS = ("id", "text", "percent", "source", "public")


def fields_of(at):
    text = f"Passage {at} of volume {at % 53}: as long as a sentence or two of a manual, and about nothing at all."
    return at, text, at * 7919 % 100, f"volume-{at % 53}.md", at % 3 > 0


class Database:
    """What both share: a loop of its own, on which `CALLERS` ask one question after the other."""

    def __init__(self):
        self.loop, self.effort = asyncio.new_event_loop(), None

    def search(self, query):
        return self.loop.run_until_complete(self.nearest(query, 0))

    def exert(self, effort):
        self.effort = effort

    def searched(self, queries, seconds):
        taken, cpu, began = [], self.cpu_seconds(), time.perf_counter()

        async def caller(number):
            for query in itertools.islice(itertools.cycle(queries), number * len(queries) // CALLERS, None):
                if (asked := time.perf_counter()) > began + seconds:
                    return
                await self.nearest(query, number)
                taken.append(time.perf_counter() - asked)

        async def all_of_them():
            await asyncio.gather(*map(caller, range(CALLERS)))

        self.loop.run_until_complete(all_of_them())
        spent = time.perf_counter() - began
        return {"done": len(taken), "seconds": spent, "cpu": self.cpu_seconds() - cpu, "taken": taken}

    def cpu_seconds(self):
        return time.process_time()


class Lance(Database):
    """In this process, on all processors. Its graph is made of what was there; what comes later is compared."""

    def __init__(self, dimension, files):
        import lancedb
        import pyarrow

        super().__init__()
        self.arrow, self.index = pyarrow, lancedb.index
        shape = pyarrow.list_(pyarrow.float32(), dimension)
        kinds = (pyarrow.int64(), pyarrow.string(), pyarrow.int64(), pyarrow.string(), pyarrow.bool_(), shape)
        self.schema = pyarrow.schema(list(zip((*FIELDS, "vector"), kinds, strict=True)))
        self.table = self.loop.run_until_complete(self.opened(lancedb, files))

    async def opened(self, lancedb, files):
        return await (await lancedb.connect_async(files)).create_table("corpus", schema=self.schema)

    def add(self, first, vectors):
        columns = [list(column) for column in zip(*map(fields_of, range(first, first + len(vectors))), strict=True)]
        rows = self.arrow.FixedSizeListArray.from_arrays(self.arrow.array(vectors.reshape(-1)), vectors.shape[1])
        made = self.arrow.Table.from_arrays([*map(self.arrow.array, columns), rows], schema=self.schema)
        self.loop.run_until_complete(self.table.add(made))

    def fill(self, vectors):
        self.add(0, vectors)
        graph = self.index.IvfHnswSq(distance_type="cosine", num_partitions=1, m=16, ef_construction=100)
        self.loop.run_until_complete(self.table.create_index("vector", config=graph))

    def efforts(self):
        """How far its graph, of bytes for floats, is walked; how many times as many are compared whole."""
        return tuple((ef, refined) for ef in (48, 96, 192, 384) for refined in (1, 2, 4))

    async def nearest(self, query, _):
        ef, refined = self.effort
        asked = self.table.query().nearest_to(query).distance_type("cosine").ef(ef).refine_factor(refined)
        found = await asked.limit(NEAREST).select([*FIELDS, "_distance"]).to_list()
        return [row["id"] for row in found]


class Pgvector(Database):
    """At `PEER_DATABASE_URL`, over as many connections as there are callers; each store is a transaction of its own."""

    def __init__(self, dimension, _):
        super().__init__()
        self.table = f"corpus_{os.urandom(4).hex()}"
        self.connections = self.loop.run_until_complete(self.connected())
        columns = "id bigint PRIMARY KEY, text text, percent int, source text, public bool"
        self.run(f"CREATE TABLE {self.table} ({columns}, vector vector({dimension}))", self.graph())

    async def connected(self):
        import asyncpg

        found = [await asyncpg.connect(os.environ["PEER_DATABASE_URL"]) for _ in range(CALLERS)]
        for one in found:
            await one.execute("CREATE EXTENSION IF NOT EXISTS vector")
            await one.set_type_codec("vector", schema="public", format="binary", encoder=coded, decoder=bytes)
        return found

    def graph(self):
        return f"CREATE INDEX {self.table}_graph ON {self.table} USING hnsw (vector vector_cosine_ops)"

    def run(self, *statements):
        for statement in statements:
            self.loop.run_until_complete(self.connections[0].execute(statement))

    def add(self, first, vectors):
        rows = [(*fields_of(at), vector) for at, vector in enumerate(vectors, first)]
        copied = self.connections[0].copy_records_to_table(self.table, records=rows, columns=(*FIELDS, "vector"))
        self.loop.run_until_complete(copied)

    def fill(self, vectors):
        """The graph afterwards, in memory that holds it."""
        self.run(f"DROP INDEX {self.table}_graph")
        self.add(0, vectors)
        self.run("SET maintenance_work_mem = '256MB'", self.graph(), f"ANALYZE {self.table}")

    def efforts(self):
        return (10, 20, 40, 80, 160, 320, 640)

    def exert(self, effort):
        super().exert(effort)
        for one in self.connections:
            self.loop.run_until_complete(one.execute(f"SET hnsw.ef_search = {effort}"))

    async def nearest(self, query, number):
        asked = f"SELECT {', '.join(FIELDS)}, vector <=> $1 AS far FROM {self.table} ORDER BY far LIMIT {NEAREST}"  # noqa: S608
        return [row[0] for row in await self.connections[number].fetch(asked, query)]

    def cpu_seconds(self):
        """Of the server's processes that answer."""
        import psutil

        times = [psutil.Process(one.get_server_pid()).cpu_times() for one in self.connections]
        return sum(spent.user + spent.system for spent in times)


def coded(vector):
    """As pgvector's binary format has it."""
    return struct.pack(">HH", len(vector), 0) + vector.astype(">f4").tobytes()
