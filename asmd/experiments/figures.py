"""What a figure of the paper is made into: numbers in a table, a plot, and pictures that stay out of the documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asmd.evaluation import provenance
from asmd.evaluation.results import write_atomic
from asmd.evaluation.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Drawn:
    """A figure and its numbers.

    Attributes:
        name: figure2 or figure5.
        title: what it shows.
        about: how it was made, for people.
        table: its numbers.
        facts: all numbers, for programs.
        plot: drawn from the numbers alone.
        pictures: name -> a figure with frames of footage in it; these may not go where the footage may not.
    """

    name: str
    title: str
    about: str
    table: Table
    facts: Mapping[str, Any]
    plot: Figure
    pictures: Mapping[str, Figure] = field(default_factory=dict)


def write(drawn: Drawn, scale: str, folder: Path, command: str, pictures: bool) -> list[Path]:
    """Writes `<name>.json`, `<name>.md`, `<name>.png`, and the pictures if they may.

    Args:
        drawn: what.
        scale: for the page.
        folder: where; made if missing.
        command: that does the same again, for the page.
        pictures: whether frames of footage may lie there.

    Returns:
        The files.
    """
    from asmd.evaluation.plots import render

    code, machine, time = provenance.code_version(), provenance.machine(), provenance.now()
    facts = {
        "experiment": drawn.name,
        "scale": scale,
        **drawn.facts,
        "provenance": {**code, "machine": machine, "time": time},
    }
    page = [
        f"# {drawn.name.replace('figure', 'Figure ')}: {drawn.title}\n",
        f"Scale `{scale}`. {drawn.about}\n",
        f"```\n{command}\n```\n",
        drawn.table.markdown(),
        f"![{drawn.title}]({drawn.name}.png)\n",
        f"Commit {code.get('commit', 'unknown')[:12]}, {machine['processor']}, {time}.\n",
    ]
    texts: dict[str, str | bytes] = {"json": json.dumps(facts, indent=1) + "\n", "md": "\n".join(page)}
    texts["png"] = render(drawn.plot, "png")
    found = [folder / f"{drawn.name}.{kind}" for kind in texts]
    for path, content in zip(found, texts.values(), strict=True):
        write_atomic(path, content)
    for name, figure in drawn.pictures.items() if pictures else ():
        found.append(folder / f"{drawn.name}-{name}.png")
        write_atomic(found[-1], render(figure, "png"))
    return found
