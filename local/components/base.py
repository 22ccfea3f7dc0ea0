"""What the suite must know of a component to start it, to tell that it works, and to stop it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from local import addresses
from local.site import Site


@dataclass(frozen=True)
class Launch:
    """One process: its command, its complete environment, and the configuration files it reads (written 0600)."""

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

    def prepare(self, site: Site) -> None:  # noqa: B027 - most components have nothing to prepare
        """Makes what the process needs before its first start; may be repeated."""

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
