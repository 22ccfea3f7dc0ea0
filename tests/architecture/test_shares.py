"""The table of shares is what the code does."""

import re

from local.layout import REPOSITORY
from services.agents.calls.domain import CALLS
from services.agents.openapi import service as openapi
from services.auth.people.letters import post
from services.auth.people.passwords.hashing import SOURCE_SHARE
from services.auth.settings import Settings as Auth
from services.chat.settings import DELEGATES_PER_RUN
from services.chat.settings import Settings as Chat
from services.tasks.dumps.places import AT_ONCE
from services.tasks.settings import WorkerSettings
from services.vectors.adapters import embeddings, faiss, rerank_remote
from services.vectors.files.route import FILE_UPLOADS
from services.vectors.records.bulk import UPLOADS
from shared.limits import MOST_AT_ONCE, TENANT_SHARE, Shares
from shared.outbound import names

PAGE = (REPOSITORY / "docs" / "operations.md").read_text()
SECTION = PAGE.split("## Who may hold how much at once")[1].split("\n## ")[0]


def row(what: str) -> list[str]:
    (found,) = [line for line in SECTION.splitlines() if line.startswith(f"| {what}")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def numbers(cell: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", cell.replace("`503`", ""))]


def shared(what: str) -> tuple[list[int], ...]:
    _, places, user, tenant, left = row(what)
    return numbers(places), numbers(user), numbers(tenant), numbers(left)[:1]


def expected(places: int) -> tuple[list[int], ...]:
    shares = Shares("x", places)
    return [places], [shares.of_a_user], [shares.of_a_tenant], [shares.reserved]


def test_requests() -> None:
    assert shared("requests that a process is at work on") == expected(MOST_AT_ONCE)


def test_answers_of_chat() -> None:
    assert shared("answers that chat is making") == expected(Chat.model_fields["max_runs"].default)


def test_delegates_of_chat() -> None:
    runs, steps, calls = (Chat.model_fields[one].default for one in ("max_runs", "tool_steps", "tool_calls_at_once"))

    assert shared("agents that chat has at work") == expected(DELEGATES_PER_RUN * runs)
    assert shared("agents that chat has at work")[1] == [steps * calls]


def test_messages_that_wait_in_chat() -> None:
    assert shared("messages that wait for their turn") == expected(Chat.model_fields["max_waiting"].default)


def test_streams_of_chat() -> None:
    assert shared("streams of events") == expected(Chat.model_fields["max_streams"].default)


def test_embeddings_of_vectors() -> None:
    assert shared("embeddings that vectors is making") == expected(embeddings._PLACES)


def test_calls_of_tools() -> None:
    assert shared("calls of tools that agents is making") == expected(CALLS)


def test_documents_of_openapi() -> None:
    assert shared("OpenAPI documents that agents is fetching") == expected(openapi._FETCHES)


def test_names_that_are_looked_up() -> None:
    assert shared("names of hosts that agents is looking up") == expected(names._THREADS)


def test_uploads_of_vectors() -> None:
    _, places, user, tenant, left = row("bodies of more than 1 MiB that vectors is storing")

    assert (numbers(places), numbers(user), numbers(tenant), numbers(left)[:1]) == expected(UPLOADS)


def test_files_of_vectors() -> None:
    assert shared("files that are uploaded to vectors") == expected(FILE_UPLOADS)


def test_calls_of_faiss() -> None:
    _, places, _, tenant, _ = row("calls of FAISS that wait")

    assert (numbers(places), numbers(tenant)) == ([faiss._WAITING], [faiss._WAITING // TENANT_SHARE])


def test_searches_that_are_reranked() -> None:
    _, places, _, tenant, _ = row("searches that wait for one of")

    assert (numbers(places), numbers(tenant)) == (
        [rerank_remote._WAITING],
        [rerank_remote._WAITING // TENANT_SHARE],
    )
    assert f"one of {rerank_remote._LANES} calls" in row("searches that wait for one of")[0]


def test_slots_of_a_worker() -> None:
    normal, high, low = (WorkerSettings.model_fields[f"{one}_slots"].default for one in ("normal", "high", "low"))

    assert normal == high
    assert shared("tasks that a worker runs at normal") == expected(normal)
    assert shared("tasks that a worker runs at low") == expected(low)


def test_dumps_of_a_worker() -> None:
    _, places, user, tenant, left = row("dumps that a worker reads and writes")

    assert (numbers(places)[:1], numbers(user), numbers(tenant), numbers(left)) == expected(AT_ONCE)


def test_letters() -> None:
    _, places, _, _, left = row("letters that wait to be sent")

    assert (numbers(places), numbers(left)) == ([post.WAITING], [post.WAITING_OF_ONE])


def test_passwords() -> None:
    waiting = Auth.model_fields["password_waiting"].default

    _, places, _, _, left = row("passwords that wait to be hashed")

    assert (numbers(places), numbers(left)[0]) == ([waiting], waiting // SOURCE_SHARE)
