"""Procrastinate on PostgreSQL alone, behind FastAPI. Imports nothing of ours."""

import os
import time
from contextlib import asynccontextmanager

from fastapi import FastAPI
from procrastinate import App, PsycopgConnector

tasks = App(connector=PsycopgConnector(conninfo=os.environ["PEER_DATABASE_URL"], min_size=10, max_size=20))


@tasks.task
async def note(submitted: float, text: str) -> float:  # noqa: ARG001 - carried there
    return time.time() - submitted


@asynccontextmanager
async def lifespan(_):
    async with tasks.open_async():
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/tasks", status_code=202)
async def submit(body: dict[str, str]):
    return {"id": str(await note.defer_async(submitted=time.time(), text=body["text"]))}


@app.get("/tasks/{task_id}")
async def status(task_id: int):
    return {"id": task_id, "status": (await tasks.job_manager.get_job_status_async(task_id)).value}
