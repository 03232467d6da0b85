"""The table of contents: every lesson is in it, every number is a published one, and the README and the command show the same."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from tinymem import contents
from tinymem.cli import main
from tinymem.figures.sheet import contact_sheet
from tinymem.lesson import lesson_files, published

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
ENTRIES = [entry for entries in contents.CONTENTS.values() for entry in entries]
UNTRAINED = {"compiled-step"}  # it publishes no number


def test_every_lesson_with_numbers_is_in_the_table_and_on_the_sheet():
    assert {entry.lesson for entry in ENTRIES} == set(lesson_files()) - UNTRAINED
    assert set(contents.PICTURES) == set(lesson_files()) - UNTRAINED


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.what)
def test_the_numbers_of_an_entry_are_those_that_were_published(entry):
    theirs, ours = entry.filled()
    assert "{" not in theirs + ours
    values = {row.name: row.value for row in published(entry.lesson)}
    for name in values:
        if entry.here == f"{{{name}}}" and isinstance(values[name], float):
            assert float(ours.replace(",", "").split(" / ")[-1]) == pytest.approx(values[name], rel=5e-3)


def test_a_row_that_no_lesson_has_published_is_named():
    with pytest.raises(KeyError, match="ntm-copy has published no row 'bits'"):
        contents.Entry("x", "", "{bits}", "ntm-copy").filled()


def test_the_readme_holds_the_table_and_the_sheet():
    assert contents.markdown() in README, "write it again: python -m tinymem.contents"
    assert "lessons/checkpoints/contact-sheet.png" in README


def test_the_command_lists_the_same_numbers(capsys):
    assert main(["lesson", "list"]) == 0
    said = capsys.readouterr().out
    for what, here, paper, lesson in contents.rows():
        assert any(all(part in line for part in (what, here, paper, lesson)) for line in said.splitlines()), what


def test_the_sheet_shows_each_picture_under_its_lesson():
    pictures = {name: np.full((4, 6, 3), place / 5) for place, name in enumerate("abcde")}
    axes = contact_sheet(pictures, "all").axes
    shown = {one.get_title("left"): np.asarray(one.images[0].get_array()) for one in axes if one.images}
    assert shown.keys() == pictures.keys()
    assert all(one.images[0].origin == "upper" for one in axes if one.images)  # or they stand on their heads
    for name, picture in pictures.items():
        np.testing.assert_array_equal(shown[name], picture)
    with pytest.raises(ValueError, match="no picture"):
        contact_sheet({}, "none")


def test_the_shipped_sheet_is_a_picture():
    assert imread(lesson_files()["ntm-copy"].parent / "checkpoints" / "contact-sheet.png").shape[1] > 1000
