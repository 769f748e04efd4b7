import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asmd.datasets._rows import read_flags, read_rows
from asmd.errors import DatasetError

numbers = st.floats(-1e6, 1e6, allow_nan=False).map(lambda v: round(v, 3))
separators = st.sampled_from([",", "\t", " ", ", ", " ,", "\t\t", "   "])


@given(
    rows=st.lists(st.tuples(*[numbers] * 4), min_size=1, max_size=8),
    between=st.lists(separators, min_size=24, max_size=24),
    newline=st.sampled_from(["\n", "\r\n"]),
    tail=st.sampled_from(["", "\n", "\n\n  \n"]),
)
def test_any_mixture_of_delimiters_reads_the_same(tmp_path_factory, rows, between, newline, tail):
    path = tmp_path_factory.mktemp("rows") / "a.txt"
    seps = iter(between)
    text = newline.join(f"{a}{next(seps)}{b}{next(seps)}{c}{next(seps)}{d}" for a, b, c, d in rows)
    path.write_bytes((text + tail).encode())
    np.testing.assert_array_equal(read_rows(path, {4}), rows)


def test_byte_order_mark_is_no_number(tmp_path: Path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf1,2,3,4\n")
    np.testing.assert_array_equal(read_rows(tmp_path / "a.txt", {4}), [[1, 2, 3, 4]])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2,3\n", "row 1 has 3 values, 4 are expected"),
        ("1,2,3,4\n1,2,3,4,5\n", "row 2 has 5 values, 4 are expected"),
        ("1,2,3,4\n\n1,2,3,4\n", "row 2 has 0 values"),
        ("1,2,3,4\n1,2,x3,4\n", "row 2: 'x3' is no number"),
        ("1,2,3,4\n1,nan,3,4\n", "row 2: nan where a number is expected"),
        ("1,2,3,4\n1,2,inf,4\n", "row 2: inf where a number is expected"),
        ("", "is empty"),
        ("\n \n", "is empty"),
    ],
)
def test_malformed_rows_are_named(tmp_path: Path, text: str, words: str):
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(DatasetError, match=f"^{re.escape(str(path))}.*{re.escape(words)}") as caught:
        read_rows(path, {4})
    assert "\n" not in str(caught.value)


def test_whole_rows_of_nan_only_where_allowed(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("NaN,NaN,NaN,NaN\n1,2,3,4\n")
    assert np.isnan(read_rows(path, {4}, nan_rows=True)[0]).all()
    with pytest.raises(DatasetError, match="row 1: nan"):
        read_rows(path, {4})
    path.write_text("1,2,3,4\nNaN,2,3,4\n")
    with pytest.raises(DatasetError, match="row 2: nan"):
        read_rows(path, {4}, nan_rows=True)


def test_missing_and_binary_files_are_named(tmp_path: Path):
    with pytest.raises(DatasetError, match=r"a\.txt is missing"):
        read_rows(tmp_path / "a.txt", {4})
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DatasetError, match=r"b\.txt is no text file"):
        read_rows(tmp_path / "b.txt", {4})


@pytest.mark.parametrize("text", ["0,1,1,0\n", "0\n1\n1\n0\n", "0, 1,\t1 0"])
def test_flags_in_one_line_or_many(tmp_path: Path, text: str):
    (tmp_path / "f.txt").write_text(text)
    assert read_flags(tmp_path / "f.txt", 4).tolist() == [0, 1, 1, 0]


def test_flags_must_be_as_many_as_frames(tmp_path: Path):
    (tmp_path / "f.txt").write_text("0,1\n")
    with pytest.raises(DatasetError, match=r"f\.txt has 2 values, one for each of 3 frames"):
        read_flags(tmp_path / "f.txt", 3)
    (tmp_path / "f.txt").write_text("0,no\n")
    with pytest.raises(DatasetError, match="value 2: 'no' is no whole number"):
        read_flags(tmp_path / "f.txt")
