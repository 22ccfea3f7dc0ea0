"""Asks the suite, from outside, whether all of it works together: the last step of `up`."""

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from local import probes
from local.components.services import health_check
from local.errors import NotReady
from local.outcomes import Outcome, Result
from local.site import Site

SETTLE_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.2


def check(site: Site, *, whole: bool = True, patience_seconds: float = SETTLE_SECONDS) -> Outcome:
    """The health check's verdict, waited for while processes find each other; names what is not well.

    Well is `pass`. Where the suite has to do without a component (not `whole`) a warning is all there is to wait for; a
    warning that stays fails nothing, but is told. What is not well at all is given `patience_seconds`.
    """
    began = time.monotonic()
    while True:
        verdict, complaint = _verdict(site)
        seconds = time.monotonic() - began
        if verdict == "pass" or (verdict == "warn" and not whole):
            return Outcome("health check", Result.RUNNING, seconds, complaint)
        if verdict == "warn" and seconds > SETTLE_SECONDS:
            return Outcome("health check", Result.RUNNING, seconds, complaint)
        if verdict != "warn" and seconds > patience_seconds:
            return Outcome("health check", Result.FAILED, seconds, complaint, site.layout.log("portal"))
        time.sleep(POLL_SECONDS)


def _verdict(site: Site) -> tuple[str, str]:
    """`pass`, `warn` or `fail`, and what does not pass."""
    try:
        answer = json.loads(probes.get(health_check(site), expected=(200, 503)))
    except (NotReady, ValueError) as error:
        return "fail", str(error)
    checks: Mapping[str, Any] = answer.get("checks", {})
    troubles = [f"{name}: {one.get('detail')}" for name, one in checks.items() if one.get("status") != "pass"]
    return answer.get("status", "fail"), "; ".join(troubles)
