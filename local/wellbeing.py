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


def check(site: Site) -> Outcome:
    """The health check's verdict, waited for while processes find each other; names what is not well."""
    began = time.monotonic()
    while True:
        complaint = _complaint(site)
        seconds = time.monotonic() - began
        if not complaint:
            return Outcome("health check", Result.RUNNING, seconds)
        if seconds > SETTLE_SECONDS:
            return Outcome("health check", Result.FAILED, seconds, complaint, site.layout.log("portal"))
        time.sleep(POLL_SECONDS)


def _complaint(site: Site) -> str:
    try:
        answer = json.loads(probes.get(health_check(site), expected=(200, 503)))
    except (NotReady, ValueError) as error:
        return str(error)
    if answer.get("status") in ("pass", "warn"):
        return ""
    checks: Mapping[str, Any] = answer.get("checks", {})
    return "; ".join(f"{name}: {one.get('detail')}" for name, one in checks.items() if one.get("status") == "fail")
