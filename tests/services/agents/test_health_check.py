"""The health check of the container, asked of the real server."""

import re
import subprocess

import yaml

from local.addresses import url
from local.layout import REPOSITORY
from local.suite import Suite
from tests.fixtures.patience import PATIENCE_SECONDS


def test_a_neo4j_that_works_is_well(suite: Suite) -> None:
    suite.up(["neo4j"])
    port = url(suite.site, "neo4j").rpartition(":")[2]
    [*_, script] = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"]["neo4j"]["healthcheck"]["test"]

    script = re.sub(r"(/dev/tcp/127\.0\.0\.1)/7687", rf"\1/{port}", script)
    asked = subprocess.run(["/bin/bash", "-c", script], timeout=PATIENCE_SECONDS, check=False)

    assert asked.returncode == 0
