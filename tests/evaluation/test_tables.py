"""Tables in every form."""

from __future__ import annotations

import csv
import io
import math

from asmd.evaluation.tables import Column, Table

TABLE = Table(
    "Cars & 100 %",
    (Column("tracker"), Column("AUC", 3, "highest"), Column("error", 1, "lowest", 100), Column("runs")),
    (("a_b", 0.12345, 0.25, 3), ("c|d", 0.5, math.nan, 1), ("e", 0.4999, 0.125, 2)),
    "A note.",
)


def test_plain_text() -> None:
    lines = [line.split() for line in str(TABLE).splitlines()]
    assert ["tracker", "AUC", "error", "runs"] in lines
    assert ["a_b", "0.123", "25.0", "3"] in lines
    assert ["c|d", "0.500", "-", "1"] in lines
    assert lines[0] == ["Cars", "&", "100", "%"] and lines[-1] == ["A", "note."]


def test_the_best_of_a_column_is_that_which_prints_best() -> None:
    # 0.4999 prints as 0.500 and shares the place; the lowest error leaves out what is not known.
    assert TABLE.best() == [
        [False, False, False, False],
        [False, True, False, False],
        [False, True, True, False],
    ]
    alone = Table("t", TABLE.columns, TABLE.rows[:1])
    assert not any(map(any, alone.best()))


def test_markdown() -> None:
    assert TABLE.markdown().splitlines() == [
        "**Cars & 100 %**",
        "",
        "| tracker | AUC | error | runs |",
        "|---|---:|---:|---:|",
        "| a_b | 0.123 | 25.0 | 3 |",
        r"| c\|d | **0.500** | - | 1 |",
        "| e | **0.500** | **12.5** | 2 |",
        "",
        "A note.",
    ]


def test_csv_has_numbers_in_full_and_unscaled() -> None:
    rows = list(csv.reader(io.StringIO(TABLE.csv())))
    assert rows[0] == ["tracker", "AUC", "error", "runs"]
    assert rows[1] == ["a_b", "0.123450", "0.250000", "3"]
    assert rows[2] == ["c|d", "0.500000", "", "1"]


def test_latex_escapes_and_sets_off() -> None:
    text = TABLE.latex()
    assert r"\caption{Cars \& 100 \%. A note.}" in text
    assert r"\begin{tabular}{lrrr}" in text
    assert r"a\_b & 0.123 & 25.0 & 3 \\" in text
    assert r"c|d & \textbf{0.500} & - & 1 \\" in text


def test_brackets_are_no_markup() -> None:
    table = Table("[bold]", (Column("[x]"),), (("[red]a[/red]",),))
    assert "[red]a[/red]" in str(table) and "[bold]" in str(table)
