"""The raw limit of a login: `python -m bench.apps.hashing SECONDS`, Argon2id on two threads and nothing around it."""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import argon2

from services.auth.people.passwords.hashing import NICENESS

THREADS = 2
_PASSWORD = "correct horse battery staple 4711"


def checks(hasher: argon2.PasswordHasher, stored: str, until: float) -> list[float]:
    """The seconds of every check that ended before `until`."""
    taken, began = [], time.perf_counter()
    while hasher.verify(stored, _PASSWORD) and (ended := time.perf_counter()) < until:
        taken.append(ended - began)
        began = ended
    return taken


def main() -> None:
    seconds = float(sys.argv[1])
    os.nice(NICENESS)  # as auth's own: what else runs on the machine takes as much from both
    hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
    stored = hasher.hash(_PASSWORD)
    until = time.perf_counter() + seconds
    with ThreadPoolExecutor(THREADS) as pool:
        runs = [pool.submit(checks, hasher, stored, until) for _ in range(THREADS)]
        taken = [each for run in runs for each in run.result()]
    print(json.dumps({"checks": len(taken), "seconds": taken, "cpu_seconds": time.process_time()}))


if __name__ == "__main__":
    main()
