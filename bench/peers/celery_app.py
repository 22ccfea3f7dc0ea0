"""Celery on RabbitMQ with results in PostgreSQL, behind FastAPI. Imports nothing of ours.

What was accepted is confirmed by a quorum queue, what was done is acknowledged after its result is in PostgreSQL.
"""

import os
import time

from celery import Celery
from fastapi import FastAPI

tasks = Celery(
    "peer",
    broker=os.environ["PEER_BROKER_URL"],
    backend=os.environ["PEER_DATABASE_URL"].replace("postgresql://", "db+postgresql+psycopg://"),
)
tasks.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_default_queue_type="quorum",
    broker_transport_options={"confirm_publish": True},
    worker_prefetch_multiplier=64,  # as its guide advises for many short tasks
    worker_send_task_events=False,
    result_expires=None,
)


@tasks.task
def note(submitted, text):  # noqa: ARG001 - carried there
    """Says how long it waited, in digits that can be found in the pickle which is kept of them."""
    return f"{time.time() - submitted:.6f}"


app = FastAPI()


@app.post("/tasks", status_code=202)
def submit(body: dict[str, str]):
    return {"id": note.delay(time.time(), body["text"]).id}


@app.get("/tasks/{task_id}")
def status(task_id: str):
    return {"id": task_id, "status": note.AsyncResult(task_id).state}
