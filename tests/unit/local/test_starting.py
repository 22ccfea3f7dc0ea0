"""What is said of a component that refused its work."""

from pathlib import Path

import pytest

from local.components.redis import Redis
from local.errors import NotReady
from local.site import Site
from local.starting import Starter
from local.suite import Suite
from local.supervision import Supervisor


class Refusing(Redis):
    """Takes no work the first so many times."""

    patience_seconds = 0.0  # it is over when the first answer comes, as where the machine stands still meanwhile

    def __init__(self, times: int) -> None:
        self.left = times

    def verify(self, site: Site) -> None:
        self.left -= 1
        if self.left >= 0:
            raise NotReady("not now")


@pytest.fixture
def starter(tmp_path: Path) -> Starter:
    suite = Suite(tmp_path, 40_000, {})
    return Starter(suite.site, Supervisor(suite.site.layout), lambda _: None)


def test_nothing_is_sick_by_one_refusal_however_long_it_took(starter: Starter) -> None:
    starter._wait_until_verified(Refusing(1))


def test_what_refuses_after_its_patience_too_is_sick(starter: Starter) -> None:
    with pytest.raises(NotReady, match="not now"):
        starter._wait_until_verified(Refusing(2))
