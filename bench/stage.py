"""What the rows run on: opened when the first row asks for it, shared by the others, closed at the end."""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import asyncpg
import psutil
from redis.asyncio import Redis

from bench import accounts
from bench.apps.ours import SERVICE
from bench.corpus import Corpus
from bench.databases import Databases
from bench.finished import Owner, fill, sample
from bench.kept import Kept
from bench.peers.engines import KINDS, EngineAlone, engine_alone
from bench.peers.starting import FastAPIUsers, fastapi_users, install
from bench.servers import Server, free_port, rss_mib, serving
from local.suite import Suite

T = TypeVar("T")
PEOPLE = 1_000
STORES = ("postgres", "redis-cache", "rabbitmq")
# A thousand people and a storm of logins come from one address; callers keep the limits they have everywhere.
_UNLIMITED = {"RATE_LIMIT_ANONYMOUS": "1000000000/minute"}
# What a service costs is compared with peers that speak HTTP; what TLS adds is in docs/decisions/0031.
_WITHOUT_TLS = dict.fromkeys(("TLS_CERTIFICATE_FILE", "TLS_KEY_FILE", "TLS_AUTHORITY_FILE"), "")
# One tenant owns the collection, and nobody is to be measured at a limit.
_SEARCHED = {f"RATE_LIMIT_{name}": "1000000000/minute" for name in ("READ", "WRITE", "BULK")}
_CHATS, _FEW = "/9", 64
_CLERK, _CLERKS_SCOPES = "clerk@example.com", ("tasks:read", "tasks:write", "tasks:tenant")
_LIBRARIAN = "librarian@example.com"
_YOUNG_SECONDS = 300  # of the 900 that an access token lives


class Stage:
    """Real stores of a suite, the real auth, a service of ours, and the peer."""

    def __init__(self, stack: ExitStack, corpus: Corpus, tenants: int, finished: int) -> None:
        self.stack = stack
        self.tenants, self.finished = tenants, finished
        self.corpus = corpus
        self._tokens: list[str] = []
        self._logged_in_at = float("-inf")

    @cached_property
    def suite(self) -> Suite:
        """The one that `make up` starts; what it keeps for others is left alone."""
        suite = Suite()
        suite.up(STORES)
        return suite

    @cached_property
    def _databases(self) -> Databases:
        return Databases(self.suite.url("postgres"))

    @cached_property
    def auth(self) -> Server:
        """auth as the suite starts it, on an empty database and with the guarded route; beside the suite's own."""
        self._databases.empty("bench_auth")
        return self._serve("bench.apps.auth", "auth", {"DATABASE_NAME": "bench_auth", **_UNLIMITED})

    @cached_property
    def ours(self) -> Server:
        """A service that verifies tokens and asks auth about API keys, as every service does."""
        return self._serve("bench.apps.ours", SERVICE, {"STATIC_SERVICES": json.dumps({"auth": self.auth.url})})

    @cached_property
    def emails(self) -> list[str]:
        """A thousand people, registered at auth."""
        addresses = accounts.emails(PEOPLE)
        accounts.register(self.auth.url, addresses)
        return addresses

    def tokens(self) -> list[str]:
        """An access token for each of them, young enough for the row that asks."""
        if time.monotonic() - self._logged_in_at > _YOUNG_SECONDS:
            self._tokens = accounts.log_in(self.auth.url, self.emails)
            self._logged_in_at = time.monotonic()
        return self._tokens

    @cached_property
    def peer(self) -> FastAPIUsers:
        """fastapi-users with as many."""
        url = self._databases.empty("bench_peer")
        return self.stack.enter_context(fastapi_users(url, users=PEOPLE, password=accounts.PASSWORD))

    @cached_property
    def upstream(self) -> Server:
        """A model server that says the same at once."""
        port = free_port()
        arguments = ["-m", "bench.apps.upstream", str(port)]
        return self.stack.enter_context(serving(arguments, os.environ, port=port))

    @cached_property
    def agents(self) -> Server:
        """agents as the suite starts it, beside the suite's own, in the suite's graph."""
        self.suite.up(["neo4j"])
        auth = {"STATIC_SERVICES": json.dumps({"auth": self.auth.url})}
        return self._serve("services.agents", "agents", {**auth, **_SEARCHED})

    @cached_property
    def chat(self) -> Server:
        """chat as the suite starts it, with the model server above and a Redis database that is emptied afterwards."""
        self.suite.up(["redis"])
        known = {"auth": self.auth.url, "agents": self.agents.url}
        store = self.suite.url("redis").rpartition("/")[0] + _CHATS
        self.stack.callback(lambda: asyncio.run(_flush(store)))
        return self._serve(
            "services.chat",
            "chat",
            {
                **_SEARCHED,
                "STATIC_SERVICES": json.dumps(known),
                "REDIS_URL": store,
                "LLM_URL": f"{self.upstream.url}/v1",
                "LLM_MODEL": "mock",
            },
        )

    @cached_property
    def few_tokens(self) -> list[str]:
        """Access tokens of as many people as make a crowd for one row."""
        addresses = [f"one-of-few-{number}@example.com" for number in range(_FEW)]
        accounts.register(self.auth.url, addresses)
        return accounts.log_in(self.auth.url, addresses)

    @cached_property
    def chatters(self) -> list[tuple[str, str]]:
        """The tokens of people and for each the id of an agent of theirs."""
        return list(zip(self.few_tokens, accounts.create_agents(self.agents.url, self.few_tokens), strict=True))

    @cached_property
    def vectors(self) -> Server:
        """vectors as the suite starts it, beside the suite's own, with files of its own."""
        self.suite.up(["chromadb"])
        folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-vectors-"))
        auth = {"STATIC_SERVICES": json.dumps({"auth": self.auth.url})}
        return self._serve("services.vectors", "vectors", {**auth, **_SEARCHED, "DATA_DIR": folder, "FAISS_URL": ""})

    @cached_property
    def chroma(self) -> psutil.Process:
        """Its own server, which the suite has for vectors."""
        self.suite.up(["chromadb"])
        pids = {one.component: one.pid for one in self.suite.status()}
        return psutil.Process(pids["chromadb"])

    @cached_property
    def librarian(self) -> str:
        """The key of somebody who keeps vectors, which outlives a long run."""
        accounts.register(self.auth.url, [_LIBRARIAN])
        tokens = accounts.log_in(self.auth.url, [_LIBRARIAN])
        [key] = accounts.create_keys(self.auth.url, tokens, ("vectors:read", "vectors:write"))
        return key

    @cached_property
    def kept(self) -> Kept:
        """The corpus, stored in ours and in Chroma."""
        chroma = f"{self.suite.url('chromadb')}/api/v2/tenants/{self.suite.secrets.chromadb_tenant}"
        kept = Kept(
            self.corpus, self.vectors.url, {"X-API-Key": self.librarian}, f"{chroma}/databases/default_database"
        )
        kept.fill()
        return kept

    @cached_property
    def engines(self) -> Mapping[str, EngineAlone]:
        """FAISS, Qdrant Edge, LanceDB and pgvector with the corpus, and nobody in between; they fill themselves."""
        install()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-corpus-")))
        file, database = self.corpus.save(folder / "corpus.npz"), self._databases.empty("bench_pgvector")
        return {
            kind: self.stack.enter_context(engine_alone(kind, file, folder, database.replace("+asyncpg", "")))
            for kind in KINDS
        }

    @cached_property
    def clerk(self) -> tuple[str, Owner]:
        """Somebody who submits tasks: a key, and who that is."""
        accounts.register(self.auth.url, [_CLERK])
        [token] = accounts.log_in(self.auth.url, [_CLERK])
        [key] = accounts.create_keys(self.auth.url, [token], _CLERKS_SCOPES)
        return key, Owner(**accounts.who_is(self.auth.url, token))

    def tasks(self, name: str, count: int) -> tuple[Server, str, list[str]]:
        """The API of tasks on a database of its own with so many that have ended, a key for it, and ids of some."""
        key, owner = self.clerk
        self._databases.empty(_tasks(name))
        self.stack.callback(self._databases.drop, _tasks(name))  # which takes gigabytes
        auth = {"STATIC_SERVICES": json.dumps({"auth": self.auth.url})}
        server = self._serve("services.tasks", "tasks", {**auth, **_SEARCHED, "DATABASE_NAME": _tasks(name)})

        async def filled(connection: asyncpg.Connection) -> list[str]:
            await fill(connection, count, owner)
            return await sample(connection, count, owner)

        return server, key, self._databases.asked(_tasks(name), filled)

    def count_finished(self, name: str) -> int:
        """Of those that `tasks` made."""

        async def counted(connection: asyncpg.Connection) -> int:
            return int(
                await connection.fetchval("SELECT count(*) FROM task WHERE finished_at IS NOT NULL", timeout=600)
            )

        return self._databases.asked(_tasks(name), counted)

    @contextmanager
    def deleting(self, name: str, days: int) -> Iterator[None]:
        """With a worker beside that API, which deletes what ended so long ago."""
        auth = {"STATIC_SERVICES": json.dumps({"auth": self.auth.url}), "QUEUE_PREFIX": _tasks(name)}
        changed = {**auth, "DATABASE_NAME": _tasks(name), "RETENTION_DAYS": str(days)}
        with self._serving("services.tasks.worker", "tasks-worker", changed):
            yield

    def service_mib(self) -> float:
        """Of vectors itself, with what is on FAISS."""
        return rss_mib([self.vectors.process])

    def edge_mib(self) -> float:
        """Of the processes that it started: Edge is in one of them."""
        return rss_mib(self.vectors.process.children(recursive=True))

    def _serve(self, module: str, service: str, changed: Mapping[str, str]) -> Server:
        return self.stack.enter_context(self._serving(module, service, changed))

    def _serving(self, module: str, service: str, changed: Mapping[str, str]) -> AbstractContextManager[Server]:
        port = free_port()
        environment = {**self.suite.environment(service), "PORT": str(port), "DISCOVERY": "static"}
        environment |= {**_WITHOUT_TLS, "STATIC_SERVICES": "{}", **changed}
        return serving(["-m", module], environment, port=port)


def _tasks(name: str) -> str:
    return f"bench_tasks_{name}"


async def _flush(redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    try:
        await redis.flushdb()
    finally:
        await redis.aclose()
