"""The suite as a library: what `make up` does, and what the tests start their own stores with."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

from local import accounts, bytecode, certificates, choices, leftovers, wellbeing
from local.addresses import url
from local.components import ALL
from local.components.base import Component
from local.errors import SuiteFailed, UnknownComponent
from local.layout import REPOSITORY, Layout
from local.lock import exclusive
from local.outcomes import Outcome, Result, Status
from local.ports import Ports
from local.preflight import check_ports, starts_here
from local.secrets import Secrets, load_or_create
from local.site import Site
from local.starting import Starter
from local.status import status_of
from local.stopping import stop_all
from local.supervision import Supervisor
from services.topology import GATEWAY_PORT

READ_AGAIN_SECONDS: Final = 5.0
"""Longer than any process takes to read certificates that were replaced (`shared.tls.RELOAD_SECONDS`)."""
Listener = Callable[[Outcome], None]


def _ignore(outcome: Outcome) -> None:
    """The listener of a caller who wants no progress."""


class Suite:
    """One set of real servers with its own home, ports and secrets. Several can run beside each other."""

    settle_seconds: ClassVar[float] = wellbeing.SETTLE_SECONDS
    """How long `up` waits for the whole to be well once all of it runs."""

    def __init__(
        self,
        home: Path | None = None,
        port_base: int | None = None,
        environ: Mapping[str, str] | None = None,
        listener: Listener = _ignore,
    ) -> None:
        environ = dict(os.environ if environ is None else environ)
        home = home or Path(environ.get("SUTAZAI_HOME") or REPOSITORY / ".local")
        cache = Path(environ.get("SUTAZAI_CACHE") or REPOSITORY / ".local" / "cache")
        layout = Layout(home.absolute(), cache.absolute())
        layout.create()
        base = port_base or int(environ.get("SUTAZAI_PORT_BASE") or GATEWAY_PORT)
        self.site = Site(layout, Ports(base), load_or_create(layout.home / "secrets.json"), environ)
        self._supervisor = Supervisor(layout)
        self._listener = listener

    @classmethod
    def as_started(cls, listener: Listener = _ignore) -> "Suite":
        """The suite of this environment as `up` started it last, but for what the environment itself says."""
        home = Path(os.environ.get("SUTAZAI_HOME") or REPOSITORY / ".local")
        said = {name: value for name, value in os.environ.items() if value}
        return cls(environ=choices.remembered(home) | said, listener=listener)

    @property
    def secrets(self) -> Secrets:
        return self.site.secrets

    def up(self, components: Iterable[str] | None = None) -> list[Outcome]:
        """Starts the named components and what they need, or all, and returns when they work.

        What runs already is left alone, unless its configuration changed. Raises PortTaken before anything starts when
        another program has one of the ports, and SuiteFailed when a component does not come up; the others stay.
        """
        chosen = [one for one in _with_needs(components) if one.is_wanted(self.site)]
        with exclusive(self.site.layout):
            if any(component.is_inside for component in chosen):
                self._make_certificates()
            leftovers.end_orphans(self.site.layout, self._supervisor)
            check_ports(self.site, chosen, self._supervisor)
            if accounts.are_used():
                bytecode.compile_missing()
            choices.remember(self.site.layout.home, self.site.environ, self.site.ports.base)
            self._supervisor.ensure_running(ALL.values())
            outcomes = Starter(self.site, self._supervisor, self._listener).start(chosen)
            if components is None and not any(outcome.has_failed for outcome in outcomes):
                absent = any(outcome.result is Result.ABSENT for outcome in outcomes)
                outcomes.append(self._whole(complete=not absent))
        if any(outcome.has_failed for outcome in outcomes):
            raise SuiteFailed(outcomes)
        return outcomes

    def _make_certificates(self) -> None:
        if self.site.uses_tls:
            self.site.certificates.mkdir(mode=0o700, exist_ok=True)
            if accounts.are_used():
                self.site.certificates.chmod(0o755)  # each comes to its own, and Envoy watches the directory
            certificates.put_missing(self.site.certificates, owner_of=_owner_of())

    def open_doors(self, components: Iterable[str] | None = None) -> dict[Path, list[str]]:
        """The places that users of their own may not enter, and who therefore reads every file; none where not root."""
        found: dict[Path, list[str]] = {}
        for component in _with_needs(components) if accounts.are_used() else ():
            if starts_here(self.site, component) and (place := component.closed(self.site)):
                found.setdefault(place, []).append(component.name)
        return found

    def _whole(self, *, complete: bool) -> Outcome:
        """Whether the whole works together, asked through the gateway; a Kong elsewhere may not be configured yet."""
        if self.site.setting("KONG_ADMIN_URL"):
            return Outcome("health check", Result.ABSENT, reason="not asked: the gateway is your own")
        outcome = wellbeing.check(self.site, whole=complete, patience_seconds=self.settle_seconds)
        self._listener(outcome)
        return outcome

    def down(self, components: Iterable[str] | None = None) -> list[Outcome]:
        """Stops the named components, or all and the process manager too; afterwards no process of them is left."""
        chosen = _named(components)
        with exclusive(self.site.layout):
            outcomes = stop_all(self._supervisor, chosen, self._listener)
            if components is None:
                if self._supervisor.is_running():
                    self._supervisor.shutdown()
                leftovers.end_orphans(self.site.layout, self._supervisor)
        return outcomes

    def rotate_certificates(self) -> None:
        """A new authority and new certificates, without a refused request; takes some seconds. Raises LocalError."""
        with exclusive(self.site.layout):
            self._make_certificates()
            wait = partial(time.sleep, READ_AGAIN_SECONDS)
            certificates.rotate(self.site.certificates, wait, owner_of=_owner_of())

    def status(self) -> list[Status]:
        """What every component is doing now, each asked once."""
        wanted = (one for one in ALL.values() if one.is_wanted(self.site))
        return status_of(self.site, self._supervisor, wanted)

    def pids(self) -> dict[str, int]:
        """The process of each component that has one here; nothing is asked of them (`status` asks each)."""
        return {name: info["pid"] for name, info in self._supervisor.infos().items() if info["pid"]}

    def start(self, component: str) -> None:
        """Starts one component and waits until it works; for tests that stopped or killed it."""
        self.up([component])

    def stop(self, component: str) -> None:
        """Stops one component in an orderly way; it stays down."""
        self._supervisor.stop(_one(component).name)

    def kill(self, component: str) -> None:
        """Kills one component and its children with SIGKILL; it stays down."""
        self._supervisor.kill(_one(component).name)

    def freeze(self, component: str) -> None:
        """Has one component and its children stand still, alive and without an answer, until `thaw`."""
        self._supervisor.freeze(_one(component).name)

    def thaw(self, component: str) -> None:
        """Has a frozen component go on."""
        self._supervisor.thaw(_one(component).name)

    def kill_all(self) -> None:
        """Kills everything with SIGKILL, the process manager too; `up` starts it again."""
        self._supervisor.kill_all()

    def url(self, name: str) -> str:
        """The address of a component with its credentials, as its clients are given it."""
        return url(self.site, name)

    def environment(self, service: str) -> dict[str, str]:
        """The complete environment of one process of the suite."""
        return dict(_one(service).launch(self.site).environment)


def _owner_of() -> certificates.OwnerOf | None:
    return accounts.ids_of if accounts.are_used() else None


def _one(name: str) -> Component:
    if name not in ALL:
        raise UnknownComponent(f"there is no component {name!r}; there are: {', '.join(ALL)}")
    return ALL[name]


def _named(names: Iterable[str] | None) -> list[Component]:
    return list(ALL.values()) if names is None else [_one(name) for name in names]


def _with_needs(names: Iterable[str] | None) -> list[Component]:
    """The named components with all that they need, each once, in the order of `ALL`."""
    wanted: set[str] = set()
    waiting = _named(names)
    while waiting:
        component = waiting.pop()
        if component.name not in wanted:
            wanted.add(component.name)
            waiting.extend(_one(need) for need in component.needs)
    return [component for component in ALL.values() if component.name in wanted]
