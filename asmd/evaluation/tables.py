"""A table that can be printed, pasted into a paper, or read by a program."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from rich.table import Table as RichTable

Cell: TypeAlias = "str | float | int | None"

_LATEX = str.maketrans({c: f"\\{c}" for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}"})


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its heading.
        digits: decimals of its numbers.
        best: which number of the column is set off, if one is.
        scale: what numbers are multiplied by before they are printed.
    """

    name: str
    digits: int = 3
    best: Literal["highest", "lowest"] | None = None
    scale: float = 1.0

    def text(self, cell: Cell) -> str:
        """A cell as it is printed; nothing is a dash."""
        if cell is None or (isinstance(cell, float) and math.isnan(cell)):
            return "-"
        return f"{cell * self.scale:.{self.digits}f}" if isinstance(cell, float) else str(cell)


@dataclass(frozen=True)
class Table:
    """Rows of text and numbers. `print(table)` shows it.

    Attributes:
        title: what it shows.
        columns: its columns; the first holds the names of the rows.
        rows: cells, one for each column.
        note: what a reader must know, under the table.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __str__(self) -> str:
        """Plain text, as wide as it needs."""
        from rich.console import Console

        stream = io.StringIO()
        Console(file=stream, width=400, color_system=None, highlight=False).print(self.rich())
        return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())

    def rich(self) -> RichTable:
        """For a terminal."""
        from rich import box
        from rich.markup import escape
        from rich.table import Table as RichTable

        table = RichTable(
            title=escape(self.title),
            caption=escape(self.note),
            title_justify="left",
            caption_justify="left",
            box=box.SIMPLE,
        )
        for index, column in enumerate(self.columns):
            table.add_column(escape(column.name), justify="left" if index == 0 else "right", overflow="fold")
        for texts, best in zip(self.texts(), self.best(), strict=True):
            table.add_row(*(f"[bold]{escape(t)}[/]" if b else escape(t) for t, b in zip(texts, best, strict=True)))
        return table

    def markdown(self) -> str:
        """GitHub's Markdown."""
        lines = [f"**{self.title}**", "", _pipes(c.name for c in self.columns)]
        lines.append("|---|" + "---:|" * (len(self.columns) - 1))
        for texts, best in zip(self.texts(), self.best(), strict=True):
            lines.append(_pipes(f"**{t}**" if b else t for t, b in zip(texts, best, strict=True)))
        return "\n".join([*lines, *(["", self.note] if self.note else [])]) + "\n"

    def csv(self) -> str:
        """Comma-separated values, numbers in full."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(column.name for column in self.columns)
        for row in self.rows:
            writer.writerow(
                ""
                if c is None or (isinstance(c, float) and math.isnan(c))
                else f"{c:.6f}"
                if isinstance(c, float)
                else c
                for c in row
            )
        return stream.getvalue()

    def latex(self) -> str:
        """A `table` with a `tabular` that needs the package booktabs."""
        body = [
            " & ".join(rf"\textbf{{{_latex(t)}}}" if b else _latex(t) for t, b in zip(texts, best, strict=True))
            + r" \\"
            for texts, best in zip(self.texts(), self.best(), strict=True)
        ]
        return "\n".join(
            [
                r"\begin{table}",
                r"\centering",
                rf"\caption{{{_latex(f'{self.title}. {self.note}' if self.note else self.title)}}}",
                rf"\begin{{tabular}}{{l{'r' * (len(self.columns) - 1)}}}",
                r"\toprule",
                " & ".join(_latex(column.name) for column in self.columns) + r" \\",
                r"\midrule",
                *body,
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table}",
                "",
            ]
        )

    def texts(self) -> list[list[str]]:
        """Every cell as it is printed."""
        return [[c.text(cell) for c, cell in zip(self.columns, row, strict=True)] for row in self.rows]

    def best(self) -> list[list[bool]]:
        """Which cells are set off: the best of their columns, as printed, where there is more than one row."""
        marks = [[False] * len(self.columns) for _ in self.rows]
        for index, column in enumerate(self.columns):
            cells = ((i, row[index]) for i, row in enumerate(self.rows))
            known = {i: cell for i, cell in cells if isinstance(cell, float) and not math.isnan(cell)}
            if column.best is None or len(self.rows) < 2 or not known:
                continue
            winner = column.text((max if column.best == "highest" else min)(known.values()))
            for row in known:
                marks[row][index] = column.text(known[row]) == winner
        return marks


def _pipes(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _latex(text: str) -> str:
    return text.replace("\\", "/").translate(_LATEX)
