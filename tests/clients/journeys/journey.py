"""The README's journey by the client that `openapi-python-client` makes of the merged document.

`python journey.py ADDRESS EMAIL`, with `sutazai_client` in the path. It prints what it found.
"""

import sys
import time
from typing import Any

from sutazai_client import AuthenticatedClient, Client  # type: ignore[import-not-found] # made by the test
from sutazai_client.api.accounts import auth_register  # type: ignore[import-not-found]
from sutazai_client.api.agents import agents_create, agents_get  # type: ignore[import-not-found]
from sutazai_client.api.api_keys import auth_create_api_key  # type: ignore[import-not-found]
from sutazai_client.api.messages import chat_send_message  # type: ignore[import-not-found]
from sutazai_client.api.tasks import tasks_status, tasks_submit  # type: ignore[import-not-found]
from sutazai_client.api.tokens import auth_token  # type: ignore[import-not-found]
from sutazai_client.api.vectors import vectors_search  # type: ignore[import-not-found]
from sutazai_client.models import (  # type: ignore[import-not-found]
    AgentCreate,
    ApiKeyCreate,
    MessageCreate,
    Problem,
    Registration,
    SearchRequest,
    TaskSubmit,
    TokenRequest,
)

PASSWORD = "correct horse battery staple"
SCOPES = [f"{service}:{right}" for service in ("agents", "chat", "vectors", "tasks") for right in ("read", "write")]
TEA = [
    {"id": "green", "text": "Green tea is steeped at 80 degrees for two minutes."},
    {"id": "black", "text": "Black tea is steeped with boiling water for four minutes."},
]
QUESTION = "How hot should the water be for green tea?"


def good(answer: Any) -> Any:
    """What was answered, where that is no problem."""
    if answer is None or isinstance(answer, Problem):
        raise SystemExit(f"refused: {answer}")
    return answer


def main(address: str, email: str) -> None:
    anybody = Client(base_url=address, timeout=120)
    good(auth_register.sync(client=anybody, body=Registration.from_dict({"email": email, "password": PASSWORD})))
    form = {"grant_type": "password", "username": email, "password": PASSWORD}
    token = good(auth_token.sync(client=anybody, body=TokenRequest.from_dict(form))).access_token
    person = AuthenticatedClient(base_url=address, token=token, timeout=120)
    wanted = ApiKeyCreate.from_dict({"name": "mine", "scopes": SCOPES})
    key = good(auth_create_api_key.sync(client=person, body=wanted)).key
    program = AuthenticatedClient(base_url=address, token=key, prefix="", auth_header_name="X-API-Key", timeout=120)

    work = {"kind": "vectors.ingest", "input": {"collection": "tea", "documents": TEA}}
    task = good(tasks_submit.sync(client=program, body=TaskSubmit.from_dict(work)))
    while task.status in ("queued", "running"):
        time.sleep(0.2)
        task = good(tasks_status.sync(task_id=task.id, client=program))
    assert task.status == "succeeded", task

    search = SearchRequest.from_dict({"collection": "tea", "query": QUESTION, "k": 1})
    [found] = good(vectors_search.sync(client=program, body=search)).results
    agent = {"name": "Tea master", "instructions": "Answer in one sentence.", "knowledge": ["tea"]}
    made = good(agents_create.sync(client=program, body=AgentCreate.from_dict(agent)))
    read = agents_get.sync_detailed(id=made.id, client=program)
    message = {"agent_id": str(made.id), "content": QUESTION}
    reply = good(chat_send_message.sync(client=program, body=MessageCreate.from_dict(message)))

    print(found.id, read.headers["etag"][:3], bool(reply.message.content), len(reply.message.citations) > 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
