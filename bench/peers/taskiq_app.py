"""Taskiq on RabbitMQ by taskiq-aio-pika, behind FastAPI. Imports nothing of ours.

What was accepted is confirmed by a quorum queue, what was done is acknowledged after its result is in PostgreSQL: a
table of a result backend as its guide shows one, since none of its own keeps results there.
"""

import json
import os
import time
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI
from taskiq import AsyncResultBackend, TaskiqResult
from taskiq_aio_pika import AioPikaBroker

_TABLE = "CREATE TABLE IF NOT EXISTS result (id text PRIMARY KEY, is_err bool NOT NULL, value jsonb, at timestamptz)"
_SET = """
    INSERT INTO result VALUES ($1, $2, $3, now())
    ON CONFLICT (id) DO UPDATE SET is_err = excluded.is_err, value = excluded.value, at = excluded.at
"""


class Results(AsyncResultBackend):
    async def startup(self):
        self.pool = await asyncpg.create_pool(os.environ["PEER_DATABASE_URL"], min_size=10, max_size=10)

    async def shutdown(self):
        await self.pool.close()

    async def set_result(self, task_id, result):
        await self.pool.execute(_SET, task_id, result.is_err, json.dumps(result.return_value))

    async def is_result_ready(self, task_id):
        return await self.pool.fetchval("SELECT true FROM result WHERE id = $1", task_id) is not None

    async def get_result(self, task_id, with_logs=False):  # noqa: ARG002
        row = await self.pool.fetchrow("SELECT is_err, value FROM result WHERE id = $1", task_id)
        return TaskiqResult(is_err=row["is_err"], return_value=json.loads(row["value"]), execution_time=0)


broker = AioPikaBroker(os.environ["PEER_BROKER_URL"], qos=100).with_result_backend(Results())


@broker.task
async def note(submitted: float, text: str) -> float:  # noqa: ARG001 - carried there
    return time.time() - submitted


@asynccontextmanager
async def lifespan(_):
    connection = await asyncpg.connect(os.environ["PEER_DATABASE_URL"])
    await connection.execute(_TABLE)
    await connection.close()
    await broker.startup()
    yield
    await broker.shutdown()


app = FastAPI(lifespan=lifespan)


@app.post("/tasks", status_code=202)
async def submit(body: dict[str, str]):
    return {"id": (await note.kiq(time.time(), body["text"])).task_id}


@app.get("/tasks/{task_id}")
async def status(task_id: str):
    return {"id": task_id, "status": "done" if await broker.result_backend.is_result_ready(task_id) else "pending"}
