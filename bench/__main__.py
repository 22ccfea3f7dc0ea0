"""`make bench`: runs the rows, prints the table, keeps the figures and a plot of them in `bench/results/`."""

import argparse
import sys
import time
import traceback
from contextlib import ExitStack

from bench import plot, results, table
from bench.corpus import GLOSSES, Corpus, Glosses
from bench.finished import MANY
from bench.row import Rounds
from bench.rows import APART, GROUPS, ROWS
from bench.stage import Stage
from local.layout import REPOSITORY


def main() -> None:
    arguments = _parse()
    rows, failed, until = [], list[str](), time.monotonic()
    with ExitStack() as stack:
        stage = Stage(stack, arguments.vectors, arguments.tenants, arguments.finished)
        for id in _ids(arguments.rows):
            planned = ROWS[id]
            until += planned.minutes * 60
            try:
                row = planned.measure(stage, Rounds(arguments.rounds, until), arguments.seconds or planned.seconds)
            except Exception:  # noqa: BLE001 - a peer that is not to be had costs its own row, not those after it
                traceback.print_exc()
                failed.append(id)
                continue
            rows.append(row)
            table.show(row)
            file = results.keep(rows)  # after each, so that a later one that fails costs no earlier one
            print(f"kept in {file.relative_to(REPOSITORY)}, drawn in {plot.draw(file).relative_to(REPOSITORY)}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    known, usual = [*ROWS, *GROUPS], [id for id in ROWS if id not in APART]
    parser.add_argument("--rows", nargs="+", choices=known, default=usual, metavar="ROW", help=", ".join(known))
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds of each row, if there is time for them")
    parser.add_argument("--seconds", type=int, help="length of one run")
    parser.add_argument(
        "--vectors",
        type=_corpus,
        default="glosses",
        help="what V1 to V4 and E1 search, store and embed: glosses, glosses:COUNT, or made ones: COUNTxDIMENSION",
    )
    parser.add_argument("--tenants", type=int, default=10_000, help="collections that M1 makes on each engine")
    parser.add_argument("--finished", type=int, default=MANY, help="finished tasks that T4 is measured beside")
    return parser.parse_args()


def _corpus(named: str) -> Corpus:
    if named.startswith("glosses"):
        return Glosses(int(named.partition(":")[2] or GLOSSES))
    count, _, dimension = named.partition("x")
    return Corpus(int(count), int(dimension))


def _ids(names: list[str]) -> list[str]:
    """The rows of the named rows and groups, each once."""
    return list(dict.fromkeys(id for name in names for id in GROUPS.get(name, (name,))))


if __name__ == "__main__":
    main()
