"""What errors say of a message that is not answered."""

import pytest

from services.chat.errors import Interrupted, RunCancelled
from shared.errors import ServiceError


@pytest.mark.parametrize("error", [Interrupted, RunCancelled])
def test_what_ends_messages_that_wait_too_does_not_call_them_kept(error: type[ServiceError]) -> None:
    assert "is kept if its turn had come" in error.meaning
