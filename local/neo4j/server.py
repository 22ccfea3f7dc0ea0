"""Starts Neo4j's own server in a JVM, waits for SIGTERM, and shuts it down in order."""

import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

import jpype
import jpype.config

STOPS: Final = frozenset({signal.SIGTERM, signal.SIGINT})
ARCHIVE: Final = "classes.jsa"
JAVA_HOMES: Final = Path("/usr/lib/jvm")
SUPPORTED_JAVA: Final = r'^JAVA_VERSION="(17|21)\.'
JVM_OPTIONS: Final = (
    "-Xms128m",
    "-Xmx512m",
    "-Xss512k",
    "-Xrs",  # signals are this process's business
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
    # As the server's own start script has it: without the last two it cannot allocate its logs in advance.
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
)


def jvm_library() -> str:
    """A Java that Neo4j 5 supports; JPype would take whichever it finds first. Raises FileNotFoundError without one."""
    for release in sorted(JAVA_HOMES.glob("*/release")):
        if re.search(SUPPORTED_JAVA, release.read_text(), re.MULTILINE):
            return str(release.parent / "lib" / "server" / "libjvm.so")
    raise FileNotFoundError(f"no Java 17 or 21 in {JAVA_HOMES}")


def start_jvm(jars: Path, *options: str) -> None:
    """Starts it with the class archive beside the jars, where there is one; it halves the time to start."""
    archive = jars / ARCHIVE
    shared = (f"-XX:SharedArchiveFile={archive}",) if archive.exists() and not options else ()
    classpath = sorted(str(jar) for jar in jars.glob("*.jar"))
    jpype.config.destroy_jvm = False  # after an error, do not wait for threads of a half-started server
    jpype.startJVM(jvm_library(), *JVM_OPTIONS, *shared, *options, classpath=classpath, convertStrings=True)


def set_first_password(home: Path, password: str) -> None:
    """Sets the password of user `neo4j` before the first start, so that the default one never works.

    Does nothing once there is a database. Raises RuntimeError when the server's own command refuses.
    """
    if (home / "data" / "databases").exists():
        return
    java_home = _java_path(home)
    context = jpype.JClass("org.neo4j.cli.ExecutionContext")(java_home, java_home)
    command = jpype.JClass("org.neo4j.commandline.admin.security.SetInitialPasswordCommand")(context)
    if jpype.JClass("picocli.CommandLine")(command).execute(password) != 0:
        raise RuntimeError("the first password could not be set")


def start_server(home: Path) -> Any:
    """The running server, with the settings of `neo4j.conf`."""
    builder = jpype.JClass("org.neo4j.dbms.api.DatabaseManagementServiceBuilder")(_java_path(home))
    return builder.loadPropertiesFromFile(_java_path(home / "neo4j.conf")).build()


def _java_path(path: Path) -> Any:
    return jpype.JClass("java.nio.file.Path").of(str(path))


def main() -> None:
    """`python -m local.neo4j.server HOME JARS`; the first password comes in NEO4J_PASSWORD."""
    home, jars = Path(sys.argv[1]), Path(sys.argv[2])
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # before the JVM starts its threads, which inherit it
    began = time.monotonic()
    start_jvm(jars)
    set_first_password(home, os.environ.pop("NEO4J_PASSWORD"))
    server = start_server(home)
    print(f"neo4j started in {time.monotonic() - began:.1f} s", flush=True)
    signal.sigwait(STOPS)
    began = time.monotonic()
    server.shutdown()
    print(f"neo4j stopped in {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
