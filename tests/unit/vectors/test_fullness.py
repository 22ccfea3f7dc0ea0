"""A full disk is told from an engine that is away."""

import errno
import sqlite3
from pathlib import Path

import pytest

from services.vectors.adapters import chroma_api
from services.vectors.adapters.fullness import absent
from shared.errors import StorageFull, Unavailable


def sqlite_full(path: Path) -> sqlite3.Error:
    """What SQLite raises when its file may not grow."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA max_page_count = 2")
    with pytest.raises(sqlite3.OperationalError) as raised:
        connection.executescript("CREATE TABLE a (b); CREATE TABLE c (d); CREATE TABLE e (f)")
    connection.close()
    return raised.value


def test_sqlite_and_the_system_say_by_a_code_that_there_is_no_room(tmp_path: Path) -> None:
    full = [sqlite_full(tmp_path / "small.db"), OSError(errno.ENOSPC, "")]

    assert {type(absent("faiss", error)) for error in full} == {StorageFull}
    assert type(absent("faiss", OSError(errno.EIO, "No space left"))) is Unavailable


@pytest.mark.parametrize(
    ("said", "becomes"),
    [
        ("error returned from database: (code: 13) database or disk is full", StorageFull),
        ("Service internal error: No space left on device (os error 28)", StorageFull),
        ("something else", Unavailable),
    ],
)
def test_a_server_says_it_in_words(said: str, becomes: type[Exception]) -> None:
    with pytest.raises(becomes) as raised:
        chroma_api._refuse(500, said)

    assert type(raised.value) is becomes
