"""What an operator's command that could not be done ends with: never with the code of what it found."""

import pytest
from pydantic_settings import SettingsError

from shared.commands import NOT_DONE, run_command
from shared.errors import Unavailable
from shared.settings import CannotStart


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SettingsError("DATABASE_URL_FILE: cannot be read"), "DATABASE_URL_FILE: cannot be read\n"),
        (CannotStart("DATABASE_URL", "is no address"), "DATABASE_URL: is no address\n"),
        (Unavailable("postgres"), "postgres is not available right now.\n"),
    ],
    ids=["file", "setting", "store"],
)
def test_what_cannot_be_done_is_one_line(error: Exception, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def command() -> int:
        raise error

    assert run_command(command) == NOT_DONE
    assert capsys.readouterr().err == told


def test_what_nobody_expects_is_told_whole(capsys: pytest.CaptureFixture[str]) -> None:
    async def command() -> int:
        raise ZeroDivisionError("by zero")

    assert run_command(command) == NOT_DONE
    assert "ZeroDivisionError: by zero" in capsys.readouterr().err
