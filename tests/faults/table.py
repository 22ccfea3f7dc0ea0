"""The table of faults: a row each, printed at the end of a run and kept on the page for operators."""

import re
from collections.abc import Sequence
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


def render(rows: Sequence[Row]) -> str:
    """The table in Markdown."""
    return "\n".join((*_HEAD, *(row.line() for row in rows)))


def write(page: Path, rows: Sequence[Row]) -> None:
    """Puts the table between the page's two marks. Raises ValueError where it has none."""
    text, count = re.subn(
        f"{re.escape(BEGIN)}.*{re.escape(END)}",
        lambda _: f"{BEGIN}\n{render(rows)}\n{END}",
        page.read_text(),
        flags=re.DOTALL,
    )
    if count != 1:
        raise ValueError(f"{page} has no place for the table")
    page.write_text(text)
