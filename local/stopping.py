"""Stops components in the reverse order of their needs: first those that use, then those that are used."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from local.components.base import Component
from local.errors import LocalError
from local.outcomes import Outcome, Result
from local.supervision import ALIVE, Supervisor


def stop_all(
    supervisor: Supervisor, components: Sequence[Component], listener: Callable[[Outcome], None]
) -> list[Outcome]:
    """Stops those that run, side by side where order does not matter; returns one outcome for each of them."""
    infos = supervisor.infos()
    running = [component for component in components if infos.get(component.name, {}).get("statename") in ALIVE]
    with ThreadPoolExecutor(max_workers=max(1, len(running)), thread_name_prefix="stop") as pool:
        futures: dict[str, Future[Outcome]] = {}
        for component in reversed(running):
            users = [futures[other.name] for other in running if component.name in other.needs]
            futures[component.name] = pool.submit(_stop_after, users, supervisor, component, listener)
        return [future.result() for future in futures.values()]


def _stop_after(
    users: Sequence[Future[Outcome]],
    supervisor: Supervisor,
    component: Component,
    listener: Callable[[Outcome], None],
) -> Outcome:
    for user in users:
        user.result()
    began = time.monotonic()
    try:
        supervisor.stop(component.name)
        result, reason = Result.STOPPED, ""
    except LocalError as error:
        result, reason = Result.FAILED, str(error)
    outcome = Outcome(component.name, result, time.monotonic() - began, reason)
    listener(outcome)
    return outcome
