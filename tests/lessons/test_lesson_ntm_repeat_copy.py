"""What the lesson on repeat copy was asked to show, in its published numbers; and how far it got."""

import json

from tinymem.lesson import lesson_files

SYSTEMS = ("NTM-FF", "NTM-LSTM", "LSTM")


def values(name):
    """The published values of this name, one a seed."""
    path = lesson_files()["ntm-repeat-copy"].parent / "checkpoints" / "ntm-repeat-copy" / "results.json"
    found = [row["value"] for row in json.loads(path.read_text())["rows"] if row["name"] == name]
    assert found, name
    return found


def test_less_than_5_bits_a_sequence():
    assert values("NTM-FF: seeds with < 5 bits on validation")[0] == 3
    assert values("NTM-LSTM: seeds with < 5 bits on validation")[0] >= 1
    for system in SYSTEMS:
        kept = values(f"{system}: validation of the parameters kept")
        assert values(f"{system}: seeds with < 5 bits on validation") == [sum(bits < 5 for bits in kept)]
    assert min(values("NTM-LSTM: validation of the parameters kept")) < 0.1
    assert max(values("NTM-FF: 10 vectors × 10: wrong bits")) < 2
    assert min(values("NTM-LSTM: 10 vectors × 10: wrong bits")) == 0


def test_20_vectors_10_times_are_copied_by_the_best():
    assert min(values("NTM-FF: 20 vectors × 10: wrong bits")) < 1
    assert min(values("NTM-LSTM: 20 vectors × 10: wrong bits")) < 15
    assert values("LSTM: 20 vectors × 10: wrong bits")[0] > 25  # guessing is 50 %


def test_it_is_unable_to_keep_count():
    for system in ("NTM-FF", "NTM-LSTM"):
        assert values(f"{system}: 10 vectors × 20: end marker at the end and nowhere else") == [0] * 3
        assert values(f"{system}: first end marker in time, 1 to 10 repeats asked for")[0] > 95
        assert values(f"{system}: first end marker in time, 11 to 20 repeats asked for")[0] < 25


def test_the_jumps_back_leave_one_location_which_the_delimiter_wrote_to():
    for system in ("NTM-FF", "NTM-LSTM"):
        assert values(f"{system}: jumps back in 4 repeats")[0] in (3, 4)
        assert values(f"{system}: different locations they leave") == [1]
        assert values(f"{system}: write weighting there at the delimiter")[0] > 0.3  # of 128 locations
