"""A collector that shows the traces it is sent: a part of a suite that is observed."""

from pathlib import Path

from local import probes
from local.addresses import url
from local.components.base import Component, Launch
from local.layout import code, python
from local.site import Site

COLLECTOR = "OTEL_EXPORTER_OTLP_ENDPOINT"
SEND_AFTER_MS = "500"
"""Who waits before a page wants it sooner than after the five seconds that are usual."""


class Traces(Component):
    """Wanted by `SUTAZAI_OBSERVE=on`, and where the caller has no collector."""

    name = "traces"
    ports = ("traces",)

    def is_wanted(self, site: Site) -> bool:
        return site.is_observed and site.setting(COLLECTOR) is None

    def folders(self, site: Site) -> tuple[Path, ...]:
        return (site.layout.home / "traces",)

    def reads(self, site: Site) -> tuple[Path, ...]:  # noqa: ARG002 - of no site in particular
        return code()

    def launch(self, site: Site) -> Launch:
        own = {
            "PORT": str(site.ports["traces"]),
            "TRACES_FILE": str(site.layout.home / "traces" / "spans.sqlite3"),
            "TRACES_KEY": site.secrets.traces_key,
        }
        return Launch((python(), "-m", "local.traces"), site.process_environment() | own)

    def probe(self, site: Site) -> None:
        probes.get(f"{url(site, 'traces')}/live")


def recording(site: Site) -> dict[str, str]:
    """What has a process send its traces there, all of them; nothing where there is no such place."""
    if not Traces().is_wanted(site):
        return {}
    ours = {COLLECTOR: url(site, "traces"), "OTEL_TRACES_SAMPLE_RATIO": "1", "OTEL_BSP_SCHEDULE_DELAY": SEND_AFTER_MS}
    return ours | site.passed("OTEL_TRACES_SAMPLE_RATIO")


def page(site: Site) -> str:
    """The address of the traces, with the key that opens it."""
    return f"http://localhost:{site.ports['traces']}/{site.secrets.traces_key}/"
