"""Plots, filmstrips and the page: drawn, self-contained, and telling what they should."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_benchmark import benchmark, write_results

from asmd.errors import ConfigError, ResultsError
from asmd.evaluation.filmstrip import MOMENTS, filmstrip, moments, most_parted
from asmd.evaluation.page import html_page
from asmd.evaluation.plots import COLOURS, PLOTS, SHOWN, Look, render, save_plots
from asmd.evaluation.report import Report


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    root = write_results(tmp_path_factory.mktemp("results")).root
    return Report.from_results(root, benchmark(frames=True), name="small")


def test_every_plot_is_written_and_the_same_twice(report: Report, tmp_path: Path) -> None:
    written = save_plots(report, tmp_path / "plots")
    assert [p.name for p in written] == [f"{name}.png" for name in PLOTS]
    for path in written:
        image = cv2.imread(str(path))
        assert image is not None and image.std() > 5
    figure = PLOTS["repeats"](report)
    assert figure is not None and render(figure, "png") == written[-1].read_bytes()
    with pytest.raises(ConfigError, match="plots are written as png, pdf, svg, not 'bmp'"):
        save_plots(report, tmp_path, "bmp")


def test_curves_are_labelled_with_their_figures(report: Report) -> None:
    figure = PLOTS["success"](report)
    assert figure is not None
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["[0.952] exact", "[0.476] half", f"[{report.tracker('late').measures['auc']:.3f}] late"]
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    np.testing.assert_allclose(lines["[0.952] exact"].get_ydata(), [1.0] * 20 + [0.0])


def test_figures_that_have_no_data_are_left_out(report: Report) -> None:
    once = replace(report, trackers=(report.tracker("late"),), attributes={"SV": 1})
    assert PLOTS["speed_accuracy"](once) is None
    assert PLOTS["repeats"](once) is None
    assert PLOTS["attributes"](once) is None


def test_looks_differ_for_all_trackers_that_are_shown() -> None:
    looks = [Look.of(rank) for rank in range(SHOWN)]
    assert len({(look.colour, str(look.dash)) for look in looks}) == SHOWN
    assert len({(look.colour, look.marker, look.fill) for look in looks}) == SHOWN
    assert len(set(COLOURS)) == len(COLOURS)


def test_moments_show_the_parting() -> None:
    spread = np.zeros(120)
    spread[60:] = 0.9
    spread[30] = 0.8  # a lone frame is no parting
    chosen = moments(spread)
    assert 60 in chosen and chosen == sorted(chosen) and len(chosen) == MOMENTS
    assert any(50 < index < 60 for index in chosen)
    assert 30 not in chosen or chosen.count(30) == 1
    assert min(np.diff(chosen)) >= 2


@pytest.mark.parametrize("length", [1, 2, 5, 13])
def test_moments_of_short_sequences(length: int) -> None:
    chosen = moments(np.full(length, np.nan))
    assert 1 <= len(chosen) <= min(length, MOMENTS)
    assert len(set(chosen)) == len(chosen) and max(chosen) < length


def test_filmstrip(report: Report) -> None:
    assert sorted(most_parted(report, 3)) == ["Car", "Dog", "Man"] and len(most_parted(report, 1)) == 1
    car = next(s for s in report.sequences if s.name == "Car")
    strip = filmstrip(report, car)
    assert len(strip.pictures) == MOMENTS
    assert strip.timeline.lstrip().startswith(b"<?xml")
    parted = [p for p in strip.pictures if p.index == 9]  # where the first repeat of `half` loses it
    assert parted and parted[0].overlaps["exact"] == 1.0 and parted[0].overlaps["half"] == 0.0
    image = cv2.imdecode(np.frombuffer(parted[0].jpeg, np.uint8), cv2.IMREAD_COLOR)
    red, green, blue = (int(Look.of(1).colour[i : i + 2], 16) for i in (1, 3, 5))  # the colour of `half`, second best
    near = np.abs(image.astype(int) - [blue, green, red]).max(axis=2) < 60
    assert near.sum() > 100


class Sources(HTMLParser):
    """Collects what a page refers to, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.ids: set[str] = set()
        self.targets: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.sources += [given[key] or "" for key in ("src", "srcset", "data") if key in given]
        if "id" in given:
            self.ids.add(given["id"] or "")
        if tag in ("a", "link"):
            self.targets.add(given.get("href") or "")


def test_the_page_needs_nothing_beside_it(report: Report) -> None:
    text = html_page(report, focus="half", strips=["Dog"])
    page = Sources()
    page.feed(text)
    assert page.sources and all(source.startswith("data:image/") for source in page.sources)
    assert page.targets and all(t.startswith("#") and t[1:] in page.ids for t in page.targets)
    assert "@import" not in text and "url(" not in text
    assert text.count("<figure>") == MOMENTS and 'id="strip-Dog"' in text and 'id="strip-Car"' not in text
    for expected in ("exact", "0.952", "Worst of half first", "Absence", "&lt;none&gt;", "protocol <b>otb</b>"):
        assert expected in text
    for source in page.sources:
        assert base64.b64decode(source.partition(",")[2])
    # Worst of the focus first: the long sequence is lost for a smaller share.
    grid = re.search(r'id="grid".*?</table>', text, re.DOTALL)
    assert grid is not None
    order = re.findall(r"<tr><td>(\w+)</td>", grid.group(0))
    values = [report.tracker("half").sequences[name]["auc"] for name in order]
    assert len(order) == 3 and values == sorted(values)


def test_names_are_escaped(report: Report) -> None:
    evil = replace(report, dataset="<script>alert(1)</script>")
    assert "<script>alert(1)" not in html_page(evil, strips=0)


def test_the_page_without_frames(tmp_path: Path) -> None:
    root = write_results(tmp_path).root
    text = html_page(Report.from_results(root, benchmark()), strips=1)
    assert "read without frames" in text and "<figure>" not in text


def test_an_unknown_sequence_or_tracker(report: Report) -> None:
    with pytest.raises(ResultsError, match="no sequence 'Cat'"):
        html_page(report, strips=["Cat"])
    with pytest.raises(ResultsError, match="no results of 'gone'"):
        html_page(report, focus="gone", strips=0)
