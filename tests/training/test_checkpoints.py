"""Checkpoints: the round trip for any memory layout, and every broken file answered in one message."""

import json

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from tinymem.training.checkpoints import CheckpointError, load_checkpoint, save_checkpoint

LAYOUTS = {
    "as it is": lambda a: a,
    "transposed": lambda a: a.T,
    "reversed": lambda a: a[::-1] if a.ndim else a,
    "strided": lambda a: a[::2] if a.ndim else a,
    "Fortran": np.asfortranarray,
    "broadcast": lambda a: np.broadcast_to(a, (3, *a.shape)),
}


DTYPES = st.sampled_from([np.float32, np.float64, np.int64, np.float16])
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, max_side=4)


@given(array=hnp.arrays(DTYPES, SHAPES, elements=st.integers(-9, 9)), layout=st.sampled_from(sorted(LAYOUTS)))
def test_round_trip_of_any_memory_layout(tmp_path_factory, array, layout):
    path = tmp_path_factory.mktemp("layout") / "a.safetensors"
    given = LAYOUTS[layout](array)
    save_checkpoint(path, {"a": given}, {"update": 3})
    arrays, note = load_checkpoint(path)
    assert arrays["a"].dtype == given.dtype
    np.testing.assert_array_equal(arrays["a"], given)
    assert note == {"update": 3}


def test_a_failed_write_leaves_the_old_file_and_no_scrap(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, {"a": np.ones(2)}, {})
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(CheckpointError, match=r"could not be written \(No space left on device\).*nothing was changed"):
        save_checkpoint(path, {"a": np.zeros(2)}, {})
    assert load_checkpoint(path)[0]["a"].tolist() == [1, 1]
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, {"a": np.arange(100.0)}, {"update": 1})
    return path


@pytest.mark.parametrize("keep", [0, 4, 60, 400])
def test_truncated(checkpoint, keep):
    checkpoint.write_bytes(checkpoint.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"not a readable checkpoint.*truncated"):
        load_checkpoint(checkpoint)


def test_noise_instead_of_a_checkpoint(checkpoint):
    checkpoint.write_bytes(b"\x80\x04pickle, perhaps" * 20)
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        load_checkpoint(checkpoint)


def test_foreign(tmp_path):
    save_file({"a": np.ones(2)}, tmp_path / "b.safetensors")
    with pytest.raises(CheckpointError, match="no checkpoint of tinymem"):
        load_checkpoint(tmp_path / "b.safetensors")


def test_missing_and_directory(tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        load_checkpoint(tmp_path)


def test_others_can_open_it(checkpoint):
    from safetensors import safe_open

    with safe_open(checkpoint, framework="numpy") as file:
        assert json.loads(file.metadata()["note"]) == {"update": 1}
