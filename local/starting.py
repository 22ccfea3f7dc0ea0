"""Starts components side by side, each as soon as what it needs works, and waits until it works itself.

What runs already is asked to do its work, and restarted where it is alive and does not. What ends at once because the
process before it has only just died is started again.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from local import accounts, launching, predecessors, sickness
from local.components.base import Component
from local.errors import Ended, LocalError, NotReady
from local.outcomes import Outcome, Result
from local.site import Site
from local.supervision import ALIVE, Supervisor

FIRST_POLL_SECONDS: Final = 0.05
LONGEST_POLL_SECONDS: Final = 0.4
RESTARTS: Final = 2
AGAIN_SECONDS: Final = 20.0
"""For how long what ends because of the process before it is started again."""
AGAIN_PAUSE_SECONDS: Final = 0.5
LOG_LINES: Final = 8
LOG_TAIL_BYTES: Final = 8192


class Starter:
    """One `up`. Nothing it does raises: a component's failure is its outcome."""

    def __init__(self, site: Site, supervisor: Supervisor, listener: Callable[[Outcome], None]) -> None:
        self._site = site
        self._supervisor = supervisor
        self._listener = listener

    def start(self, components: Sequence[Component]) -> list[Outcome]:
        """The outcomes in the order of the components, which has to name needs before those who need them."""
        with ThreadPoolExecutor(max_workers=max(1, len(components)), thread_name_prefix="start") as pool:
            futures: dict[str, Future[Outcome]] = {}
            for component in components:
                needs = [futures[need] for need in component.needs if need in futures]
                futures[component.name] = pool.submit(self._after, needs, component)
            return [future.result() for future in futures.values()]

    def _after(self, needs: list[Future[Outcome]], component: Component) -> Outcome:
        failed = [outcome.component for need in needs if (outcome := need.result()).has_failed]
        if failed:
            outcome = Outcome(component.name, Result.SKIPPED, reason=f"needs {', '.join(failed)}")
        else:
            outcome = self._started(component)
        self._listener(outcome)
        return outcome

    def _started(self, component: Component) -> Outcome:
        began = time.monotonic()
        try:
            result, reason = self._bring_up(component)
        except LocalError as error:
            result, reason = Result.FAILED, str(error)
        seconds = time.monotonic() - began
        log = self._site.layout.log(component.name) if result is Result.FAILED else None
        return Outcome(component.name, result, seconds, reason, log)

    def _bring_up(self, component: Component) -> tuple[Result, str]:
        if component.external_url(self._site):
            component.probe(self._site)
            return Result.EXTERNAL, "used, not started"
        if reason := component.absence(self._site):
            return Result.ABSENT, reason
        log = self._site.layout.log(component.name)
        log_start = _size(log)
        result = self._launch(component)
        try:
            if result is Result.RUNNING:
                return self._kept_well(component)
            return result, self._wait_out_the_one_before(component, log_start)
        except NotReady as error:
            if not self._answers(component):
                self._supervisor.stop(component.name)
            words = _words(log, log_start)[-LOG_LINES:]
            raise NotReady("\n".join([str(error), *words])) from error

    def _launch(self, component: Component) -> Result:
        layout, name = self._site.layout, component.name
        owner, folders = component.owner(self._site), component.folders(self._site)
        for folder in folders:
            folder.mkdir(mode=0o700, exist_ok=True)
        fingerprint = launching.write(layout, name, component.launch(self._site), owner)
        result = Result.STARTED
        if self._supervisor.info(name)["statename"] in ALIVE:
            if launching.remembered(layout, name) == fingerprint:
                return Result.RUNNING
            self._supervisor.stop(name)
            result = Result.RESTARTED
        for folder in folders:  # now that nobody is at work in them
            accounts.give(folder, owner)
        component.prepare(self._site)
        launching.remember(layout, name, fingerprint)
        self._supervisor.start(name)
        return result

    def _kept_well(self, component: Component) -> tuple[Result, str]:
        """Leaves alone what does its work, and restarts what does not. Raises NotReady when it stays sick."""
        complaint = first = self._sickness(component)
        if not first:
            return Result.RUNNING, ""
        for _ in range(RESTARTS):
            if reason := sickness.fullness(component, self._site):
                raise NotReady(f"refused work: {complaint}; not restarted, as {reason}")
            log_start = self._restart(component)
            try:
                again = self._wait_out_the_one_before(component, log_start)
            except NotReady as error:
                complaint = str(error)
            else:
                return Result.RESTARTED, "; ".join(filter(None, (f"refused work: {first}", again)))
        raise NotReady(f"still sick after {RESTARTS} restarts: {complaint}")

    def _sickness(self, component: Component) -> str:
        """Why what is alive does not work; empty when it does. What has never worked is waited for as at a start."""
        if self._supervisor.is_frozen(component.name):
            return "its process is frozen"
        try:
            start = self._supervisor.info(component.name)["start"]
            if launching.worked(self._site.layout, component.name, start):
                self._wait_until_verified(component)
            else:
                self._wait_until_ready(component)
        except NotReady as error:
            return str(error)
        return ""

    def _restart(self, component: Component) -> int:
        """How much its log held when it was started."""
        self._supervisor.thaw(component.name)  # so that it hears that it is to end
        self._supervisor.stop(component.name)
        log_start = _size(self._site.layout.log(component.name))
        self._supervisor.start(component.name)
        return log_start

    def _answers(self, component: Component) -> bool:
        try:
            component.probe(self._site)
        except NotReady:
            return False
        return True

    def _wait_out_the_one_before(self, component: Component, log_start: int) -> str:
        """Waits until it works. Why it was started again meanwhile; empty where it was not.

        It is, for `AGAIN_SECONDS`, where it ended because of what the process before it still held. Raises NotReady.
        """
        deadline, times, said = time.monotonic() + AGAIN_SECONDS, 0, ""
        while True:
            try:
                self._wait_until_ready(component)
                return f"started again {times} times, as the one before it was still dying: {said}" if times else ""
            except Ended:
                said = predecessors.complaint(_words(self._site.layout.log(component.name), log_start))
                if not said or time.monotonic() > deadline:
                    raise
            times += 1
            time.sleep(AGAIN_PAUSE_SECONDS)
            log_start = self._restart(component)

    def _wait_until_ready(self, component: Component) -> None:
        """Raises Ended when the process ends meanwhile, NotReady when it does not answer or work in time."""
        first_start = self._supervisor.info(component.name)["start"]
        self._wait_until_it_answers(component, first_start)
        self._wait_until_verified(component)
        launching.note_worked(self._site.layout, component.name, first_start)

    def _wait_until_it_answers(self, component: Component, first_start: int) -> None:
        deadline = time.monotonic() + component.start_seconds
        pause = FIRST_POLL_SECONDS
        while True:
            try:
                component.probe(self._site)
                return
            except NotReady as error:
                reason = str(error)
            info = self._supervisor.info(component.name)
            if info["statename"] not in ("STARTING", "RUNNING") or info["start"] != first_start:
                raise Ended("its process ended while starting")
            if time.monotonic() > deadline:
                raise NotReady(f"not ready after {component.start_seconds} s: {reason}")
            time.sleep(pause)  # ever longer: asking costs the starting processes time
            pause = min(pause * 1.5, LONGEST_POLL_SECONDS)

    def _wait_until_verified(self, component: Component) -> None:
        """Raises NotReady when it refused its work for longer than that may pass by itself."""
        deadline, is_last = time.monotonic() + component.patience_seconds, False
        while True:
            try:
                return sickness.verify(component, self._site)
            except NotReady:
                if is_last:
                    raise
            is_last = time.monotonic() > deadline  # once more: the machine itself may have stood still until now
            time.sleep(LONGEST_POLL_SECONDS)


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def _words(log: Path, start: int) -> list[str]:
    """The lines written since `start`, which is what this attempt said; of many the last."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(start, log.stat().st_size - LOG_TAIL_BYTES) if start <= log.stat().st_size else 0)
        lines = file.read().decode(errors="replace").splitlines()
    return [line for line in lines if line.strip()]
