"""RabbitMQ from Debian's package, with every path, port and name its own: a broker of the system is never touched."""

from pathlib import Path
from typing import Final

from local import probes, works
from local.addresses import VIRTUAL_HOST, external_url, url
from local.components.base import Component, Launch
from local.errors import LocalError
from local.ports import LOOPBACK
from local.site import Site

SERVER: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
DISK_FREE_LIMIT_BYTES: Final = 200_000_000
"""With less it lets no publisher go on."""


class Epmd(Component):
    """Erlang's port mapper, without which the broker does not start. Supervised here, it cannot outlive the suite."""

    name = "epmd"
    ports = ("epmd",)

    def external_url(self, site: Site) -> str | None:
        return external_url(site, "rabbitmq")

    def launch(self, site: Site) -> Launch:
        command = ("epmd", "-address", LOOPBACK, "-port", str(site.ports["epmd"]))
        return Launch(command, site.process_environment())

    def probe(self, site: Site) -> None:
        if self.external_url(site) is None:
            probes.tcp(LOOPBACK, site.ports["epmd"])


class RabbitMQ(Component):
    """The broker."""

    name = "rabbitmq"
    needs = ("epmd",)
    ports = ("rabbitmq", "rabbitmq_management", "erlang_distribution")
    stop_seconds = 30
    least_free_bytes = DISK_FREE_LIMIT_BYTES

    def folders(self, site: Site) -> tuple[Path, ...]:
        return (site.layout.home / "rabbitmq",)

    def prepare(self, site: Site) -> None:  # noqa: ARG002 - of no site in particular
        if not SERVER.exists():
            raise LocalError("Debian's package rabbitmq-server is not installed")

    def launch(self, site: Site) -> Launch:
        home = site.layout.home / "rabbitmq"
        files = {home / "rabbitmq.conf": _configuration(site), home / "enabled_plugins": "[rabbitmq_management].\n"}
        return Launch((str(SERVER),), site.process_environment() | _environment(site, home), files)

    def probe(self, site: Site) -> None:
        probes.amqp(url(site, "rabbitmq"))

    def verify(self, site: Site) -> None:
        works.rabbitmq(url(site, "rabbitmq"), url(site, "rabbitmq_management"))


def _configuration(site: Site) -> str:
    settings = {
        "listeners.tcp.1": f"{LOOPBACK}:{site.ports['rabbitmq']}",
        "management.tcp.ip": LOOPBACK,
        "management.tcp.port": site.ports["rabbitmq_management"],
        "default_user": site.secrets.rabbitmq_user,
        "default_pass": site.secrets.rabbitmq_password,
        "default_vhost": VIRTUAL_HOST,
        "log.console": "true",
        "log.console.level": "warning",
        "log.file": "false",
        "vm_memory_high_watermark.absolute": "1GB",
        "disk_free_limit.absolute": str(DISK_FREE_LIMIT_BYTES),
    }
    return "".join(f"{name} = {value}\n" for name, value in settings.items())


def _environment(site: Site, home: Path) -> dict[str, str]:
    """The broker's own names for its places; `HOME` is where Erlang keeps the cookie that guards its distribution."""
    return {
        "HOME": str(home),
        "ERL_EPMD_PORT": str(site.ports["epmd"]),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "RABBITMQ_NODENAME": f"sutazai-{site.ports.base}@localhost",
        "RABBITMQ_DIST_PORT": str(site.ports["erlang_distribution"]),
        "RABBITMQ_CONF_ENV_FILE": str(home / "rabbitmq-env.conf"),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / "advanced.config"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(home / "generated"),
        "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_PLUGINS_EXPAND_DIR": str(home / "plugins"),
        "RABBITMQ_FEATURE_FLAGS_FILE": str(home / "feature_flags"),
        "RABBITMQ_PID_FILE": str(home / "pid"),
        # Two schedulers with short queues for the IO threads: the broker shares a small machine with everything else.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            "+S 2:2 +SDio 4 -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
        ),
    }
