"""Ends an operator's command as a program does: by an exit code, and in one line where it could not be done."""

import asyncio
import sys
import traceback
from collections.abc import Callable, Coroutine
from typing import Any, Final

from pydantic import ValidationError
from pydantic_settings import SettingsError

from shared.errors import ServiceError
from shared.settings import CannotStart

NOT_DONE: Final = 2
"""The exit code of a command that could not be done."""


def run_command(command: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """The exit code that `command` comes to, or NOT_DONE for settings that are wrong and stores that are away.

    Also for whatever nobody expects, told whole: Python's own code for that is 1, which means something of its own.
    """
    try:
        return asyncio.run(command())
    except ValidationError as error:  # its own text would show what was given, secrets too
        names = {str(part).upper() for one in error.errors(include_input=False) for part in one["loc"][:1]}
        print(f"these settings are missing or wrong: {', '.join(sorted(names))}", file=sys.stderr)
    except (CannotStart, SettingsError) as error:
        print(error, file=sys.stderr)
    except ServiceError as error:
        print(error.detail, file=sys.stderr)
    except Exception:  # noqa: BLE001 - told here
        traceback.print_exc()
    return NOT_DONE
