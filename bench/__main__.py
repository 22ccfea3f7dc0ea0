"""`make bench`: runs the rows, prints the table, keeps the figures and a plot of them in `bench/results/`."""

import argparse
import time
from contextlib import ExitStack

from bench import plot, results, table
from bench.corpus import Corpus
from bench.row import Rounds
from bench.rows import GROUPS, ROWS
from bench.stage import Stage
from local.layout import REPOSITORY


def main() -> None:
    arguments = _parse()
    rows, until = [], time.monotonic()
    with ExitStack() as stack:
        stage = Stage(stack, arguments.vectors)
        for id in _ids(arguments.rows):
            planned = ROWS[id]
            until += planned.minutes * 60
            rows.append(planned.measure(stage, Rounds(arguments.rounds, until), arguments.seconds or planned.seconds))
            table.show(rows[-1])
            file = results.keep(rows)  # after each, so that a later one that fails costs no earlier one
    print(f"\nkept in {file.relative_to(REPOSITORY)}, drawn in {plot.draw(file).relative_to(REPOSITORY)}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    known = [*ROWS, *GROUPS]
    parser.add_argument("--rows", nargs="+", choices=known, default=list(ROWS), metavar="ROW", help=", ".join(known))
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds of each row, if there is time for them")
    parser.add_argument("--seconds", type=int, help="length of one run")
    parser.add_argument("--vectors", type=_corpus, default="20000x384", help="what V1 and V2 search: COUNTxDIMENSION")
    return parser.parse_args()


def _corpus(size: str) -> Corpus:
    count, _, dimension = size.partition("x")
    return Corpus(int(count), int(dimension))


def _ids(names: list[str]) -> list[str]:
    """The rows of the named rows and groups, each once."""
    return list(dict.fromkeys(id for name in names for id in GROUPS.get(name, (name,))))


if __name__ == "__main__":
    main()
