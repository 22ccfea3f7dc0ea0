"""One suite's facts in one value: its paths, its ports, its secrets and the settings it was called with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.accounts import are_used
from local.errors import LocalError
from local.layout import REPOSITORY, Layout, python
from local.ports import LOOPBACK, Ports
from local.secrets import Secrets

# What a child process keeps of the caller's environment; everything else is left behind, so that a variable set for
# another program cannot change the suite.
KEPT: Final = (
    "HOME",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
)
OF_ONE_USER: Final = ("HOME", "TMPDIR")
"""What of it root's servers do without, which are other users: they have no home, and `/tmp`."""
SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Site:
    """What every component is built from."""

    layout: Layout
    ports: Ports
    secrets: Secrets
    environ: Mapping[str, str]

    @property
    def bind(self) -> str:
        """The address of the public port; all others are on loopback."""
        return self.environ.get("SUTAZAI_BIND") or LOOPBACK

    @property
    def uses_tls(self) -> bool:
        """Whether our own processes talk to each other by TLS. Raises LocalError for anything but on and off."""
        return self._is_on("SUTAZAI_INSIDE_TLS", usually="on")

    @property
    def has_node(self) -> bool:
        """Whether vectors keeps nothing itself, so that it may have replicas. Raises LocalError likewise."""
        return self._is_on("SUTAZAI_FAISS_NODE", usually="off")

    @property
    def is_observed(self) -> bool:
        """Whether every trace is recorded, and shown here. Raises LocalError likewise."""
        return self._is_on("SUTAZAI_OBSERVE", usually="off")

    def _is_on(self, name: str, *, usually: str) -> bool:
        chosen = self.setting(name) or usually
        if chosen not in ("on", "off"):
            raise LocalError(f"{name} is on or off, not {chosen!r}")
        return chosen == "on"

    @property
    def certificates(self) -> Path:
        """Where those of our own processes lie."""
        return self.layout.home / "tls"

    def setting(self, name: str) -> str | None:
        """A setting of the caller's environment; empty is the same as missing."""
        return self.environ.get(name) or None

    def passed(self, *names: str) -> dict[str, str]:
        """Those of the named settings that the caller has set."""
        return {name: value for name in names if (value := self.setting(name)) is not None}

    def process_environment(self) -> dict[str, str]:
        """What every process of the suite gets."""
        direct = {"NO_PROXY": f"{LOOPBACK},localhost", "no_proxy": f"{LOOPBACK},localhost"}
        return {
            **(direct | self.passed("NO_PROXY", "no_proxy")),
            **self.passed(*(name for name in KEPT if not (are_used() and name in OF_ONE_USER))),
            "PATH": f"{Path(python()).parent}:{SYSTEM_PATH}",
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(REPOSITORY),
        }
