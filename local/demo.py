"""`make demo`: the main job before one's eyes, through the one public address and nothing else."""

import json
import secrets
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import httpx

from local.__main__ import show
from local.components.llm import MODEL
from local.errors import LocalError
from local.layout import REPOSITORY
from local.suite import Suite
from services.chat.excerpts import excerpt
from services.topology import CLIENTS, SERVICES

ENGINES: Final = ("qdrant", "chroma", "faiss")
OWN: Final = [SERVICES[name].scopes for name in CLIENTS]  # all but auth, where a visitor's key has no business
SCOPES: Final = [scope for scopes in OWN for scope in (*scopes.viewer, *scopes.member)]
QUESTIONS: Final = (
    "Which command stops everything that make up started?",
    "Which store does the service agents have?",
    "On which Debian and which Python does make up run?",
    "What is the license of this project?",
    "Which command measures the speed?",
    "Which service owns conversations?",
)
BETTER: Final = "name a better one: LLM_URL=https://…/v1 LLM_MODEL=… LLM_API_KEY=… make up (docs/models.md)"
PAGES: Final = ("README.md", "docs/run.md", "services/chat/README.md")
TASK_SECONDS: Final = 300
CITATIONS: Final = 2  # shown of an answer
EXCERPT_TOKENS: Final = 70


class Demo:
    """One visitor's way through the product."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._run = secrets.token_hex(3)

    def run(self) -> None:
        """Every step, each with what it answered. Raises httpx.HTTPStatusError at the first that fails."""
        self.register()
        collections = {engine: f"handbook-{engine}-{self._run}" for engine in ENGINES}
        for engine, collection in collections.items():
            self.ingest(engine, collection)
        agent = self.create_agent(collections["qdrant"])
        models = {self.ask(agent, question) for question in QUESTIONS}
        say("who has answered")
        note(told_of(models))
        for engine, collection in collections.items():
            self.search(engine, collection)
        self.health()

    def register(self) -> None:
        say("an account, a token, a key")
        email, password = f"visitor-{self._run}@example.com", secrets.token_urlsafe(16)
        account = self.post("/auth/register", {"email": email, "password": password, "name": "Visitor"})
        form = {"grant_type": "password", "username": email, "password": password}
        token = self._client.post("/auth/token", data=form).raise_for_status().json()["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"
        key = self.post("/auth/api-keys", {"name": "demo", "scopes": SCOPES})
        del self._client.headers["Authorization"]
        self._client.headers["X-API-Key"] = key["key"]
        note(f"{account['email']} with the key {key['prefix']}…")

    def ingest(self, engine: str, collection: str) -> None:
        say(f"this project's own pages into {engine}, as a task")
        task = self.post(
            "/tasks/submit",
            {"kind": "vectors.ingest", "input": {"collection": collection, "engine": engine, "documents": documents()}},
        )
        result = self.follow(task["id"])
        note(f"{result['documents']} documents, {result['chunks']} chunks")

    def follow(self, task_id: str) -> dict[str, Any]:
        """The result of a task, its progress on the way. Raises LocalError when it fails or takes too long."""
        deadline, shown = time.monotonic() + TASK_SECONDS, ""
        while time.monotonic() < deadline:
            task = self._client.get(f"/tasks/status/{task_id}").raise_for_status().json()
            progress = f"{task['status']}  {task['progress']['done']}/{task['progress']['total'] or '?'}"
            if progress != shown:
                note(progress)
                shown = progress
            if task["status"] == "succeeded":
                result: dict[str, Any] = task["result"]
                return result
            if task["status"] in ("failed", "cancelled", "expired"):
                raise LocalError(f"the task ended as {task['status']}: {task['error']}")
            time.sleep(0.2)
        raise LocalError(f"the task did not end within {TASK_SECONDS} s")

    def create_agent(self, collection: str) -> str:
        say("an agent that knows them")
        agent = self.post(
            "/agents/create",
            {
                "name": f"Guide {self._run}",
                "instructions": "Answer in one sentence.",
                "capabilities": ["documentation"],
                "knowledge": [collection],
            },
        )
        note(f"{agent['name']}, version {agent['version']}")
        return str(agent["id"])

    def ask(self, agent_id: str, question: str) -> str:
        """Shows the answer as it is made, and of what it was given what it cites, else the best; the model's name."""
        say(question)
        body = {"agent_id": agent_id, "content": question, "stream": True}
        with self._client.stream("POST", "/chat/message", json=body) as answer:
            if answer.is_error:
                answer.read()
            answer.raise_for_status()
            message: dict[str, Any] = {}
            print("    ", end="")
            for event, payload in server_sent_events(answer.iter_lines()):
                if event == "message.delta":
                    print(payload["content"], end="", flush=True)
                elif event == "message.completed":
                    message = payload["message"]
                elif event == "run.failed":
                    raise LocalError(f"the run failed: {payload}")
            print()
        run = self._client.get(f"/chat/runs/{message['run_id']}").raise_for_status().json()
        note(f"— {run['model']}, from")
        for citation in sorted(message["citations"], key=lambda one: not one["referenced"])[:CITATIONS]:
            told = " ".join(excerpt(citation["text"], question, EXCERPT_TOKENS).split())
            note(f"  [{citation['number']}] {citation['record_id']}: {told}")
        return str(run["model"])

    def search(self, engine: str, collection: str) -> None:
        say(f"the same search on {engine}")
        found = self.post("/vectors/search", {"collection": collection, "query": QUESTIONS[0], "k": 3})
        for match in found["results"]:
            note(f"{match['score']:.4f}  {match['id']}")
        note(f"{found['took_ms']:.1f} ms")

    def health(self) -> None:
        say("the health of everything")
        health = self._client.get("/health/check").raise_for_status().json()
        note(
            f"{health['status']}: " + ", ".join(f"{name} {check['status']}" for name, check in health["checks"].items())
        )

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._client.post(path, json=body).raise_for_status()
        result: dict[str, Any] = answer.json()
        return result


def documents() -> list[dict[str, Any]]:
    """The pages that a newcomer reads first."""
    pages = [REPOSITORY / name for name in PAGES]
    return [
        {
            "id": page.relative_to(REPOSITORY).as_posix(),
            "type": "markdown",
            "text": page.read_text(),
            "metadata": {"kind": "page"},
        }
        for page in pages
    ]


def server_sent_events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Pairs of event name and JSON data; comments are heartbeats and carry nothing."""
    event = ""
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "event":
            event = value
        elif field == "data":
            yield event, json.loads(value)


def told_of(models: set[str]) -> str:
    """Which models have answered, and how to name a better one, in one line."""
    names = ", ".join(sorted(models))
    return f"{names}, which is small and held to quoting; {BETTER}" if models == {MODEL} else names


def say(step: str) -> None:
    print(f"\n» {step}", flush=True)


def note(line: str) -> None:
    print(f"    {line}", flush=True)


def main() -> int:
    """Starts what is not running, then walks through; the exit code says whether every step worked."""
    suite = Suite.as_started(show)
    address = f"http://127.0.0.1:{suite.site.ports['gateway']}/api/v1"
    try:
        suite.up()
        with httpx.Client(base_url=address, timeout=120) as client:
            Demo(client).run()
    except httpx.HTTPStatusError as error:
        print(f"\n{error.request.method} {error.request.url} answered {error.response.status_code}:", file=sys.stderr)
        print(error.response.text, file=sys.stderr)
        return 1
    except (LocalError, httpx.HTTPError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    print(f"\nThat was all of it, through {address}. Its page: {address.removesuffix('/api/v1')}/docs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
