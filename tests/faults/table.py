"""The table of faults: a row each, printed at the end of a run and kept on the page for operators."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.answers import Tally
from tests.faults.ledger import Findings

BEGIN: Final = "<!-- faults: written by `make faults-table` -->"
END: Final = "<!-- faults: end -->"
_HEAD: Final = (
    "| fault | acknowledged | lost | twice | wrong answers | refused or cut | longest answer, s | recovered after, s |",
    "|---|---|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Row:
    """What one fault did."""

    fault: str
    tally: Tally
    findings: Findings
    recovery_seconds: float

    def line(self) -> str:
        """As it stands in the table."""
        tally, findings = self.tally, self.findings
        cells = [
            self.fault,
            str(findings.acknowledged),
            str(len(findings.lost)),
            str(len(findings.twice)),
            str(len(tally.wrong)),
            str(tally.counts["refused"] + tally.counts["cut"]),
            f"{tally.longest_seconds:.1f}",
            f"{self.recovery_seconds:.1f}",
        ]
        return f"| {' | '.join(cells)} |"


def render(lines: Iterable[str]) -> str:
    """The table in Markdown."""
    return "\n".join((*_HEAD, *lines))


def write(page: Path, row: Row, order: Sequence[str]) -> None:
    """Puts the row into the table between the page's two marks, in the place of an older one of the same fault.

    `order` is that of the faults; rows of others go. Raises ValueError where the page has no place for a table.
    """
    before, begin, rest = page.read_text().partition(BEGIN)
    table, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{page} has no place for the table")
    lines = {line.split("|")[1].strip(): line for line in table.splitlines()[2:] if line.startswith("|")}
    lines[row.fault] = row.line()
    kept = [lines[fault] for fault in order if fault in lines]
    page.write_text(f"{before}{begin}\n{render(kept)}\n{end}{after}")
