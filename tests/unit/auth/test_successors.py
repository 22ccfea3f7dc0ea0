"""A successor follows from the token, the id and the secret: all three of them, and nothing else."""

import pytest

from services.auth.entry.sessions.successors import Successors

SECRET, TOKEN, ID = "s" * 44, "t" * 43, "01890a5d-ac96-774b-bcce-b302099a8057"


def test_it_is_the_same_however_often_it_is_made() -> None:
    assert Successors(SECRET).make(TOKEN, ID) == Successors(SECRET).make(TOKEN, ID)


@pytest.mark.parametrize(
    ("secret", "token", "successor_id"),
    [("S" * 44, TOKEN, ID), (SECRET, "T" * 43, ID), (SECRET, TOKEN, ID[:-1] + "8")],
    ids=["another secret", "another token", "another id"],
)
def test_without_one_of_the_three_it_is_another(secret: str, token: str, successor_id: str) -> None:
    assert Successors(secret).make(token, successor_id) != Successors(SECRET).make(TOKEN, ID)


def test_it_looks_like_the_first_of_a_session() -> None:
    made = Successors(SECRET).make(TOKEN, ID)

    assert len(made) == 43
    assert set(made) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
