"""What was acknowledged, and what reading it back shows: what is lost, and what is there twice."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Findings:
    """What one kind of work finds when it reads back what it was told is kept."""

    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)

    def __iadd__(self, other: "Findings") -> "Findings":
        self.acknowledged += other.acknowledged
        self.lost += other.lost
        self.twice += other.twice
        return self

    def kept(self, what: str, *, holds: bool) -> None:
        """One acknowledged effect, and whether it is there as it was acknowledged."""
        self.acknowledged += 1
        if not holds:
            self.lost.append(what)

    def once(self, kind: str, expected: Iterable[str], found: Iterable[str]) -> None:
        """`found` is everything there is of a kind, by its mark: each expected one once, and nothing else."""
        counts, wanted = Counter(list(found)), list(expected)
        self.acknowledged += len(wanted)
        self.lost += [f"{kind} {mark}" for mark in wanted if not counts[mark]]
        self.twice += [f"{kind} {mark}: {count} times" for mark, count in counts.items() if count > 1]
        self.twice += [f"{kind} {mark}: nobody was told" for mark in counts.keys() - set(wanted)]
