"""What can go wrong while the suite is started or stopped.

LocalError
├── UnknownComponent    a name that no component has
├── PortTaken           something else listens where a component should
├── SupervisorFailed    the process manager does not start or does not answer
├── NotReady            a probe's answer: not yet, and why
│   └── Ended           its process ended instead
└── SuiteFailed         some components did not start; carries every outcome
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.outcomes import Outcome


class LocalError(Exception):
    """Root of the errors of `local`; its text is meant for the person at the terminal."""


class UnknownComponent(LocalError):
    """A name that no component has."""


class PortTaken(LocalError):
    """Something that this suite did not start listens on one of its ports."""


class SupervisorFailed(LocalError):
    """The process manager does not start, does not answer, or refuses a call."""


class NotReady(LocalError):
    """A probe's answer: the component does not work yet, and why."""


class Ended(NotReady):
    """The process ended while it was to start."""


class SuiteFailed(LocalError):
    """Some components did not start; the others were left running."""

    def __init__(self, outcomes: Sequence["Outcome"]) -> None:
        self.outcomes = tuple(outcomes)
        failed = [outcome for outcome in self.outcomes if outcome.has_failed]
        super().__init__("\n".join(f"{outcome.component}: {outcome.reason}" for outcome in failed))
