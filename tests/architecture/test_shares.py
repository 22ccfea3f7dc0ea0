"""The table of shares is what the code does."""

import re

from local.layout import REPOSITORY
from services.auth.people.passwords.hashing import SOURCE_SHARE
from services.auth.settings import Settings as Auth
from services.chat.settings import Settings as Chat
from services.vectors.adapters import embeddings
from shared.limits import Shares

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


def test_answers_of_chat() -> None:
    assert shared("answers that chat is making") == expected(Chat.model_fields["max_runs"].default)


def test_embeddings_of_vectors() -> None:
    assert shared("embeddings that vectors is making") == expected(embeddings._PLACES)


def test_passwords() -> None:
    waiting = Auth.model_fields["password_waiting"].default

    _, places, _, _, left = row("passwords that wait to be hashed")

    assert (numbers(places), numbers(left)[0]) == ([waiting], waiting // SOURCE_SHARE)
