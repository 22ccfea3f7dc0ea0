"""What of the caller's environment reaches which process: read from the settings that each process itself declares."""

import difflib
import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

# What must differ between processes: one value of the caller's cannot be right for all of them.
ONE_FOR_EACH: Final = frozenset(
    {
        *("HOST", "PORT", "ADVERTISE_HOST", "CLIENT_ID", "CLIENT_SECRET", "DATABASE_NAME"),
        *("TLS_CERTIFICATE_FILE", "TLS_KEY_FILE", "TLS_AUTHORITY_FILE"),
    }
)
PREFIX: Final = "SUTAZAI_"
OF_THE_SUITE: Final = (
    *("SUTAZAI_HOME", "SUTAZAI_PORT_BASE", "SUTAZAI_CACHE", "SUTAZAI_BIND"),
    *("SUTAZAI_INSIDE_TLS", "SUTAZAI_FAISS_NODE", "SUTAZAI_OBSERVE"),
)
# Read by others than `make up`, and harmless beside it.
OF_OTHERS: Final = (
    *(
        "SUTAZAI_URL",
        "SUTAZAI_VERSION",
        "SUTAZAI_SECRETS",
        "SUTAZAI_ADMIN_EMAIL",
        "SUTAZAI_GRAFANA_PORT",
    ),  # compose.yaml
    *("SUTAZAI_TEST_HOME", "SUTAZAI_TEST_PORT_BASE", "SUTAZAI_TEST_STORES"),  # tests
    "SUTAZAI_SUPERVISED_HOME",  # what marks the processes of a suite
)


@cache
def variables(settings: str) -> tuple[str, ...]:
    """The variables that the settings class `package.module:Class` reads."""
    module, _, name = settings.partition(":")
    return tuple(field.upper() for field in getattr(importlib.import_module(module), name).model_fields)


def given(environ: Mapping[str, str], settings: str) -> dict[str, str]:
    """What the caller has set of these settings, as a value or as a file that holds it; empty is missing."""
    names = [name for name in variables(settings) if name not in ONE_FOR_EACH]
    return {name: environ[name] for plain in names for name in (plain, f"{plain}_FILE") if environ.get(name)}


def unknown(environ: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each variable that looks like ours and is read by nothing."""
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in (*OF_THE_SUITE, *OF_OTHERS):
            meant = difflib.get_close_matches(name, OF_THE_SUITE, n=1, cutoff=0.8)
            yield f"{name} is read by nothing" + (f": is {meant[0]} meant?" if meant else "")
