"""What the process manager is told of itself and of each program, as supervisord's configuration."""

import os
from collections.abc import Iterable
from pathlib import Path

from local.components.base import Component
from local.launching import script
from local.layout import REPOSITORY, Layout


def configuration(layout: Layout, components: Iterable[Component]) -> str:
    """The whole file, which starts none of the programs by itself."""
    head = f"""; Written by `python -m local`; changes are overwritten.
[supervisord]
logfile={_quoted(layout.log("supervisord"))}
logfile_maxbytes=5MB
logfile_backups=1
pidfile={_quoted(layout.run / "supervisord.pid")}
childlogdir={_quoted(layout.logs)}
umask=077
minfds=16384
{_user()}
[unix_http_server]
file={_quoted(layout.socket)}
chmod=0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
    return head + "".join(_program(layout, component) for component in components)


def _user() -> str:
    return "user=root\n" if os.geteuid() == 0 else ""


def _program(layout: Layout, component: Component) -> str:
    return f"""
[program:{component.name}]
command=/bin/sh "{_quoted(script(layout, component.name))}"
directory={_quoted(REPOSITORY)}
autostart=false
autorestart=unexpected
startsecs=1
startretries={component.start_retries}
stopsignal={component.stop_signal}
stopwaitsecs={component.stop_seconds}
killasgroup=true
redirect_stderr=true
stdout_logfile={_quoted(layout.log(component.name))}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""


def _quoted(path: Path) -> str:
    """A path as supervisord's configuration wants it: `%` starts an expansion there."""
    return str(path).replace("%", "%%")
