"""The bench measures its own suite's processes, whoever else runs programs of the same name."""

import os
import signal
import subprocess
import sys

from bench.rows.gateway import measured
from local.suite import Suite


def test_processes_of_others_are_not_measured(suite: Suite) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "input()", "services.auth"], stdin=subprocess.PIPE)
    try:
        assert stranger.pid not in {process.pid for process in measured(suite)}
    finally:
        os.kill(stranger.pid, signal.SIGKILL)
        stranger.communicate()
