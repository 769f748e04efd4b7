"""The figures of `docs/speed.md` as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Rows = list[dict[str, Any]]


def markdown(record: dict[str, Any]) -> str:
    """A heading, where the figures come from, and a table for each part that a record has."""
    return "\n".join(_part(name, part) for name, part in record.items() if name in TABLES)


def _part(name: str, part: dict[str, Any]) -> str:
    commit = part["code"].get("commit", part["code"]["asmd"])
    where = f"{part['time']}, commit {commit[:7]}{' with changes' if 'changes' in commit else ''}, "
    where += f"{part['threads']} threads, {part['clock']} time, "
    where += f"load {part['load_before'][:1]} before and {part['load_after'][:1]} after"
    return f"### {name}\n\n{where}\n\n{TABLES[name](part['rows'])}\n"


def _table(head: str, lines: list[list[str]]) -> str:
    columns = [c.strip() for c in head.split("|")]
    rule = ["---", *["---:"] * (len(columns) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [columns, rule, *lines])


def _ms(row: dict[str, Any]) -> list[str]:
    return [f"{row[k]:.1f}" for k in ("median", "low", "high", "p95")]


def _stages(rows: Rows) -> str:
    lines = [[r["preset"], r["stage"], f"{r['mean']:.2f}", *_ms(r), f"{100 * r['share']:.1f} %"] for r in rows]
    return _table("preset|stage|mean ms|median|a quarter below|a quarter above|95 %|share", lines)


def _rates(rows: Rows) -> str:
    total = sorted((r for r in rows if r["sequence"] == "all"), key=lambda r: -r["fps"])
    lines = [
        [
            r["tracker"],
            f"{r['fps']:.1f}",
            f"{r['median_fps']:.1f}",
            f"{r['slowest']:.1f}",
            f"{r['fastest']:.1f}",
            f"{r['p95_over_median']:.2f}",
            f"{r['first_frame_s']:.2f}",
        ]
        for r in total
    ]
    head = "tracker|fps, median over sequences|of the median frame|slowest|fastest|95 % over median|first frame s"
    return _table(head, lines)


def _one(key: str, label: str) -> Callable[[Rows], str]:
    head = f"{label}|median ms|a quarter below|a quarter above|95 %"
    return lambda rows: _table(head, [[str(r[key]), *_ms(r)] for r in rows])


def _sizes(rows: Rows) -> str:
    parts = ("decoding", "flow", "rest", "all")
    lines = [[f"{r['size']} ({r['width']}x{r['height']})", *[f"{r[p]:.1f}" for p in parts]] for r in rows]
    return _table("frame|decoding ms|flow|everything else|sum", lines)


def _threads(rows: Rows) -> str:
    return _table(
        "preset|threads|median ms|a quarter below|a quarter above|95 %",
        [[r["preset"], str(r["threads"]), *_ms(r)] for r in rows],
    )


def _targets(rows: Rows) -> str:
    cells: dict[tuple[str, str], dict[int, str]] = {}
    for r in rows:
        cells.setdefault((r["layout"], r["way"]), {})[r["targets"]] = f"{r['median']:.1f} ({r['times_one']:.2f})"
    counts = sorted({r["targets"] for r in rows})
    lines = [[layout, way, *[own.get(n, "") for n in counts]] for (layout, way), own in cells.items()]
    return _table("targets|way|" + "|".join(f"{n}: ms (times one)" for n in counts), lines)


def _length(rows: Rows) -> str:
    keys = {"megabytes": ".0f", "peak_megabytes": ".0f", "median": ".1f", "p95": ".1f"}
    lines = [[str(r["frames"]), *[format(r[key], form) for key, form in keys.items()]] for r in rows]
    return _table("frames|resident MB|peak MB|median ms|95 %", lines)


def _limit(rows: Rows) -> str:
    def cell(row: dict[str, Any], key: str, form: str) -> str:
        return format(row[key], form) if key in row else "not run"

    keys = {"gflop": ".2f", "matrix_gflops": ".0f", "arithmetic_ms": ".1f", "openvino_ms": ".1f", "pass_ms": ".1f"}
    keys |= {"pass_over_openvino": ".2f", "pass_over_arithmetic": ".2f"}
    lines = [[f"{r['preset']} ({r['side']} px)", *[cell(r, k, f) for k, f in keys.items()]] for r in rows]
    head = "preset|GFLOP|matrix GFLOP/s|arithmetic ms|benchmark_app ms|our pass ms|over benchmark_app|over arithmetic"
    return _table(head, lines)


TABLES: dict[str, Callable[[Rows], str]] = {
    "stages": _stages,
    "rates": _rates,
    "candidates": _one("candidates", "candidates"),
    "regions": _one("region", "side in network pixels"),
    "flow": _one("flow", "streams"),
    "sizes": _sizes,
    "threads": _threads,
    "targets": _targets,
    "length": _length,
    "limit": _limit,
}
