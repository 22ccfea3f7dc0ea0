"""Values of secrets, sealed."""

import pytest
from cryptography.fernet import Fernet

from shared.sealing import Seal
from shared.settings import CannotStart

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_what_an_older_key_sealed_opens_while_it_stands_behind_the_new_one() -> None:
    sealed = Seal(OLD).close("tenant", "KEY", "välue")

    assert Seal(f"{NEW}, {OLD}").open("tenant", "KEY", sealed) == "välue"
    assert Seal(NEW).open("tenant", "KEY", sealed) is None


def test_the_first_key_seals() -> None:
    sealed = Seal(f"{NEW},{OLD}").close("tenant", "KEY", "value")

    assert Seal(NEW).open("tenant", "KEY", sealed) == "value"


@pytest.mark.parametrize("key", ["", "short", f"{NEW},", "k" * 44 + "x"], ids=["none", "short", "half", "long"])
def test_what_is_no_key_stops_the_start_and_is_not_shown(key: str) -> None:
    with pytest.raises(CannotStart, match="SECRET_ENCRYPTION_KEY") as refused:
        Seal(key)

    assert not key or key not in str(refused.value)
