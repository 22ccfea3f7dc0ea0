"""What the suite must know of a component to start it, to tell that it works, and to stop it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from local import accounts, addresses
from local.accounts import Owner
from local.site import Site


@dataclass(frozen=True)
class Launch:
    """One process: its command, its complete environment, and the configuration files it reads (0600, its owner's)."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    files: Mapping[Path, str] = field(default_factory=dict)


class Component(ABC):
    """One supervised process of the suite.

    `needs` are started first and waited for; `ports` are names of `local.ports.OFFSETS`.
    """

    name: str
    needs: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    stop_signal: ClassVar[str] = "TERM"
    stop_seconds: ClassVar[int] = 20
    start_seconds: ClassVar[int] = 180
    start_retries: ClassVar[int] = 5
    """How often in a row it may end within its first second and is started again, each time a second later."""
    patience_seconds: ClassVar[float] = 5.0
    """How long it may refuse its work, while it answers, before that is taken for a sickness."""
    is_inside: ClassVar[bool] = False
    """Whether it shows a certificate of ours to others, or wants theirs."""
    least_free_bytes: ClassVar[int] = 16 << 20
    """With less free under its data no restart can make it well."""

    def external_url(self, site: Site) -> str | None:
        """The caller's own server, which is then used instead of one of ours."""
        return addresses.external_url(site, self.name)

    def is_wanted(self, site: Site) -> bool:  # noqa: ARG002 - an override looks at the site
        """Whether it is a part of this suite at all."""
        return True

    def absence(self, site: Site) -> str | None:  # noqa: ARG002 - an override looks at the site
        """Why the suite can do without this component and has to here; None where it can be started."""
        return None

    def folders(self, site: Site) -> tuple[Path, ...]:  # noqa: ARG002 - an override looks at the site
        """What it writes, all of it: closed to everybody else, and its owner's."""
        return ()

    def reads(self, site: Site) -> tuple[Path, ...]:  # noqa: ARG002 - an override looks at the site
        """What it is started from: programs and libraries that the system does not have where everybody may read."""
        return ()

    def closed(self, site: Site) -> Path | None:
        """What a user of its own may not enter or read of all that it has to; None where it may."""
        return accounts.barred(site.layout.home) or accounts.unreadable(self.reads(site))

    def owner(self, site: Site) -> Owner | None:
        """Whom it runs as; None where we are not root. Raises LocalError where the system takes no user."""
        reads_all = (accounts.READ_ALL,) if self.closed(site) else ()
        is_low = any(site.ports[port] < accounts.FIRST_FREE_PORT for port in self.ports)
        return accounts.owner_of(self.name, (*reads_all, *((accounts.LOW_PORTS,) if is_low else ())))

    def prepare(self, site: Site) -> None:  # noqa: B027 - most components have nothing to prepare
        """Makes what the process needs before its first start, in folders that are there; may be repeated."""

    @abstractmethod
    def launch(self, site: Site) -> Launch:
        """How to start it."""

    @abstractmethod
    def probe(self, site: Site) -> None:
        """Uses it once, the way a client would.

        Raises NotReady, within two seconds, while it does not work.
        """

    def verify(self, site: Site) -> None:
        """Has it do a piece of its real work: a store writes something and reads it back. May be repeated.

        Asked by `up` of what was started here, never of the caller's own server. Raises NotReady while it does not.
        """
        self.probe(site)
