"""Plain text: aligned columns, and figures beside their targets."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A figure and the most it should be."""

    name: str
    value: float
    target: float
    unit: str

    def row(self) -> list[str]:
        verdict = "met" if self.value <= self.target else "missed"
        return [self.name, f"{self.value:.2f} {self.unit}", f"≤ {self.target:g} {self.unit}", verdict]


def section(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print(f"\n{title}\n{aligned([head, *rows])}", flush=True)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(_padded, row, widths, range(len(row)))) for row in rows)


def _padded(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if column else cell.ljust(width)
