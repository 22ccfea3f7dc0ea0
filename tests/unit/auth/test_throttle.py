"""How long further guesses wait."""

from datetime import timedelta

import pytest

from services.auth.logins.throttle import by_account, by_source, wait_after


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0), (5, 0), (6, 30), (7, 60), (10, 480), (11, 900), (10_000, 900)]
)
def test_the_wait_doubles_up_to_a_quarter_of_an_hour(failures: int, seconds: int) -> None:
    assert wait_after(failures, free_failures=5) == timedelta(seconds=seconds)


def test_accounts_and_sources_are_counted_apart_and_named_by_a_hash() -> None:
    account, source = by_account("192.0.2.1"), by_source("192.0.2.1")

    assert account.key != source.key
    assert b"192.0.2.1" not in account.key + source.key
