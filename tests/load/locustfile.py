"""What people do all day, for locust: each logs in, stores and searches, makes an agent and asks it, has a task done.

    .local/load/bin/locust --headless -f tests/load/locustfile.py --host http://127.0.0.1:10200 -u 50 -r 2 -t 120s

`make load` runs it on a suite of its own. Ends with 1 where a request failed, or a route that asks no model took longer
than `--p95-ms` for one in twenty. Imports nothing of ours: it runs in an environment that has locust alone.
"""

import json
import os
import random
import secrets
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any, Final

from locust import FastHttpUser, events, task
from locust.contrib.fasthttp import FastResponse
from locust.env import Environment
from locust.exception import RescheduleTask

API: Final = "/api/v1"
ENGINES: Final = ("qdrant", "chroma", "faiss")
MESSAGE: Final = "/chat/message"
ASKS_A_MODEL: Final = (MESSAGE,)
DONE: Final = "submitted until done"
TASK_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.2


@events.init_command_line_parser.add_listener
def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--p95-ms", type=float, default=100.0, help="what 19 of 20 answers may take where no model is")
    parser.add_argument("--pause", type=float, default=3.0, help="seconds from one step of a person to the next")


class Person(FastHttpUser):
    """One with an account, at work. A step that fails is counted, and ends what it was a part of."""

    network_timeout = connection_timeout = 60.0

    def wait_time(self) -> float:
        pause: float = self.environment.parsed_options.pause
        return random.uniform(0.5, 1.5) * pause

    def on_start(self) -> None:
        self.email, self.password = f"{secrets.token_hex(8)}@example.com", secrets.token_urlsafe(16)
        self.is_registered, self.headers = False, dict[str, str]()

    @task
    def day(self) -> None:
        """All of it, in one piece: a run that ends lets everybody finish."""
        self.log_in()
        collection = f"tea-{secrets.token_hex(4)}"
        self.learn(collection)
        agent_id = self.make_agent(collection)
        self.have_a_task_done()
        self.talk(agent_id)
        self.ask("DELETE", f"/agents/{agent_id}", "/agents/{id}")
        self.ask("DELETE", f"/vectors/collections/{collection}", "/vectors/collections/{name}")

    def log_in(self) -> None:
        if not self.is_registered:
            self.ask("POST", "/auth/register", json={"email": self.email, "password": self.password})
            self.is_registered = True
        form = {"grant_type": "password", "username": self.email, "password": self.password}
        answer = self.ask("POST", "/auth/token", data=form)
        self.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        self.ask("GET", "/auth/me")

    def learn(self, collection: str) -> None:
        self.ask("POST", "/vectors/collections", json={"name": collection, "engine": random.choice(ENGINES)})
        items = [{"id": f"tea-{number}", "text": fact()} for number in range(3)]
        self.ask("POST", "/vectors/store", json={"collection": collection, "items": items})
        for _ in range(3):
            self.ask("POST", "/vectors/search", json={"collection": collection, "query": question(), "k": 3})

    def make_agent(self, collection: str) -> str:
        agent = {
            "name": f"Master of {collection}",
            "instructions": "Answer in one sentence.",
            "knowledge": [collection],
        }
        agent_id = str(self.ask("POST", "/agents/create", json=agent).json()["id"])
        self.ask("GET", "/agents/list")
        self.ask("GET", f"/agents/{agent_id}", "/agents/{id}")
        return agent_id

    def talk(self, agent_id: str) -> None:
        body = {"agent_id": agent_id, "content": question(), "stream": True}
        said = dict(told(self.ask("POST", MESSAGE, json=body).text or ""))
        if "run.completed" not in said:
            self.fail(MESSAGE, f"a run that failed: {said.get('run.failed')}")
        conversation = f"/chat/conversations/{said['run.started']['conversation_id']}"
        self.ask("GET", f"{conversation}/messages", "/chat/conversations/{id}/messages")
        self.ask("DELETE", conversation, "/chat/conversations/{id}")

    def have_a_task_done(self) -> None:
        began = time.perf_counter()
        task = {"kind": "echo", "input": {"text": fact()}}
        submitted = self.ask("POST", "/tasks/submit", json=task, pause=False)
        path = f"/tasks/status/{submitted.json()['id']}"
        while (status := self.ask("GET", path, "/tasks/status/{id}", pause=False).json()["status"]) != "succeeded":
            if status not in ("queued", "running") or time.perf_counter() - began > TASK_SECONDS:
                self.fail(DONE, f"a task that is {status}")
            time.sleep(POLL_SECONDS)
        self.report(DONE, (time.perf_counter() - began) * 1000)
        self.pause()

    def ask(self, method: str, path: str, route: str = "", *, pause: bool = True, **content: Any) -> FastResponse:
        """The answer, after which the person pauses. Ends the day when it is none, or an error."""
        answer: FastResponse = self.client.request(
            method, API + path, name=route or path, headers=self.headers, **content
        )
        if not answer.ok:
            raise RescheduleTask
        if pause:
            self.pause()
        return answer

    def pause(self) -> None:
        time.sleep(self.wait_time())  # not locust's own wait, in which a run that ends would break the day off

    def fail(self, name: str, reason: str) -> None:
        self.report(name, 0, RuntimeError(reason))
        raise RescheduleTask

    def report(self, name: str, milliseconds: float, error: Exception | None = None) -> None:
        """A line of the table that is no request."""
        self.environment.events.request.fire(
            request_type="", name=name, response_time=milliseconds, response_length=0, exception=error, context={}
        )


def fact() -> str:
    """One that nobody has told before: nothing is embedded twice."""
    return f"Tea {secrets.token_hex(3)} is steeped at {random.randint(60, 100)} degrees."


def question() -> str:
    return f"How hot is the water for tea {secrets.token_hex(3)}?"


def told(stream: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The server-sent events of an answer: name and data."""
    event = ""
    for line in stream.splitlines():
        field, _, value = line.partition(": ")
        if field == "event":
            event = value
        elif field == "data":
            yield event, json.loads(value)


@events.test_start.add_listener
def tell_the_surroundings(**_: Any) -> None:
    print(f"on {os.cpu_count()} processors with a load average of {os.getloadavg()[0]:.1f}")


@events.quitting.add_listener
def judge(environment: Environment, **_: Any) -> None:
    """Says what was missed, if anything, and has locust end with 1 then."""
    missed = list(misses(environment))
    for line in missed:
        print(f"missed: {line}")
    if missed:
        environment.process_exit_code = 1


def misses(environment: Environment) -> Iterator[str]:
    limit, total = environment.parsed_options.p95_ms, environment.stats.total
    if not total.num_requests:
        yield "nothing was asked"
    if total.num_failures:
        yield f"{total.num_failures} of {total.num_requests} failed"
    for one in environment.runner.exceptions.values():
        yield f"{one['count']} times {one['msg']}"
    for (name, method), entry in sorted(environment.stats.entries.items()):
        p95 = entry.get_response_time_percentile(0.95)
        if method and name not in ASKS_A_MODEL and p95 > limit:
            yield f"{method} {name} took {p95:.0f} ms for one in twenty, and may take {limit:.0f}"
