"""Compiled kernels on disk: found again, shared by processes, repaired when broken, and not needed when there is no compiler."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinymem as tm
from tinymem.engine.compile import cache, compiled, lower_c

ROOT = Path(tm.__file__).parent.parent
X = tm.Tensor(np.linspace(-1, 1, 12).reshape(3, 4))

SCRIPT = """
import numpy as np, tinymem as tm
w = tm.Tensor(np.linspace(-1, 1, 40).reshape(5, 8), requires_grad=True)
def step(x):
    w.grad = None
    (tm.softmax(tm.tanh(x @ w.T), 1) ** 2).sum().backward()
    w.data = w.data - 0.1 * w.grad
    return w.grad
c = tm.compile(step, state=[w], lowering="c")
g = c(np.ones((3, 8)) / 3)
print(c.stats().compiled, c.stats().kernels, repr(float(g.sum())), repr(float(np.abs(g).sum())))
"""


def process(folder, script=SCRIPT, **environment):
    environment = {**os.environ, "TINYMEM_CACHE": str(folder), "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """An empty cache, and none of what this process remembers of another."""
    monkeypatch.setenv("TINYMEM_CACHE", str(tmp_path / "kernels"))
    functions = [cache.folder, cache.compiler, cache.flags, cache.identity, lower_c.runtime, compiled._say_once]
    for function in functions:
        function.cache_clear()
    yield tmp_path / "kernels"
    monkeypatch.undo()
    for function in functions:
        function.cache_clear()


def step_of(number):
    """A step with a kernel of its own."""
    return tm.compile(lambda x: tm.tanh(x * number) + 1, lowering="c")


def expected(number):
    return np.tanh(X.data * number) + 1


def test_processes_that_compile_the_same_at_once_both_succeed(tmp_path):
    running = [process(tmp_path) for _ in range(3)]
    said = [p.communicate(timeout=250) for p in running]
    assert [p.returncode for p in running] == [0, 0, 0], said
    assert len({out.split()[2] for out, _ in said}) == 1
    again, errors = process(tmp_path).communicate(timeout=250)
    assert again.split()[0] == "0", errors  # everything was found
    assert again.split()[1:] == said[0][0].split()[1:]
    assert not [name for name in os.listdir(tmp_path) if name.endswith((".c", ".part"))]


def test_a_kernel_is_compiled_once(own_cache):
    first, second = step_of(2.5), step_of(2.5)
    first(X)
    assert first.stats().compiled == 1
    np.testing.assert_allclose(second(X).data, expected(2.5), rtol=1e-14)
    assert second.stats().compiled == 0
    third = step_of(2.75)
    third(X)
    assert third.stats().compiled == 1


def test_other_flags_are_other_kernels(own_cache, monkeypatch):
    step_of(2.5)(X)
    entries = set(os.listdir(own_cache))
    monkeypatch.setattr(cache, "FLAGS", ["-O1", *[flag for flag in cache.FLAGS if flag != "-O3"]])
    for function in (cache.flags, cache.identity, lower_c.runtime):
        function.cache_clear()
    other = step_of(2.5)
    np.testing.assert_allclose(other(X).data, expected(2.5), rtol=1e-14)
    assert other.stats().compiled == 1
    assert entries < set(os.listdir(own_cache))


def fresh_process_finds(folder, script=SCRIPT):
    p = process(folder, script)
    out, errors = p.communicate(timeout=250)
    assert p.returncode == 0, errors
    return out.split()


BREAKAGES = {
    "an entry is empty": lambda f: [p.write_text("") for p in f.glob("*.entry")],
    "an entry names nothing": lambda f: [p.write_text("gone.so") for p in f.glob("*.entry")],
    "an entry is no text": lambda f: [p.write_bytes(b"\xff\xfe\x00") for p in f.glob("*.entry")],
    "a library is gone": lambda f: [p.unlink() for p in f.glob("*.so")],
    "a library is empty": lambda f: [p.write_bytes(b"") for p in f.glob("*.so")],
    "a library is half written": lambda f: [p.write_bytes(p.read_bytes()[:1000]) for p in f.glob("*.so")],
    "an entry names another library": lambda f: [p.write_text(sorted(f.glob("*.so"))[0].name) for p in f.glob("*.entry")],
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_broken_entry_is_built_again(tmp_path, name):
    first = fresh_process_finds(tmp_path)
    BREAKAGES[name](tmp_path)
    again = fresh_process_finds(tmp_path)
    assert int(again[0]) > 0
    assert again[1:] == first[1:]
    assert fresh_process_finds(tmp_path)[0] == "0"


def test_a_folder_that_cannot_be_written_to_is_done_without(own_cache, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("TINYMEM_CACHE", str(tmp_path / "file" / "kernels"))
    cache.folder.cache_clear()
    assert cache.folder().is_dir()
    assert tmp_path not in cache.folder().parents
    np.testing.assert_allclose(step_of(1.25)(X).data, expected(1.25), rtol=1e-14)


def test_the_users_cache_folder_is_the_default(own_cache, monkeypatch, tmp_path):
    monkeypatch.delenv("TINYMEM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    cache.folder.cache_clear()
    assert cache.folder() == tmp_path / "xdg" / "tinymem"


# -- no compiler --------------------------------------------------------------------------------------------------------------------
def test_without_a_compiler_numpy_runs_the_step_and_says_so_in_one_line(own_cache, monkeypatch, capsys):
    monkeypatch.setenv("CC", "/nonexistent/cc")
    for number in (1.5, 2.0):
        step = tm.compile(lambda x, number=number: tm.tanh(x * number) + 1)
        np.testing.assert_array_equal(step(X).data, expected(number))
        assert step.stats().lowering == "numpy"
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert "compiled steps run by NumPy, for CC='/nonexistent/cc' is no command here" in said.err


def test_no_compiler_at_all(own_cache, monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(cache.shutil, "which", lambda name: None)
    monkeypatch.setitem(sys.modules, "ziglang", None)
    with pytest.raises(cache.NoCompiler, match=r"no C compiler was found: install one, or pip install 'tinymem\[compile\]'"):
        step_of(1.5)(X)


def test_asking_for_native_code_without_a_compiler_is_an_error(own_cache, monkeypatch):
    monkeypatch.setenv("CC", "/nonexistent/cc")
    with pytest.raises(cache.NoCompiler, match="is no command here"):
        step_of(1.5)(X)


def failing_compiler(tmp_path, text):
    path = tmp_path / "cc"
    path.write_text(f'#!/bin/sh\nif [ "$1" = --version ]; then echo broken 1.0; exit 0; fi\n{text}\n')
    path.chmod(0o755)
    return str(path)


def test_a_compiler_that_fails_is_quoted(own_cache, monkeypatch, tmp_path):
    monkeypatch.setenv("CC", failing_compiler(tmp_path, "echo 'kernel.c:1: error: no such thing' >&2; exit 1"))
    with pytest.raises(cache.NoCompiler, match=r"(?s)the C compiler .* failed.*no such thing"):
        step_of(1.5)(X)
    assert not [name for name in os.listdir(own_cache) if name.endswith((".so", ".part", ".c", ".entry"))]


def test_a_compiler_that_fails_leaves_numpy_and_one_line(own_cache, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv(
        "CC",
        failing_compiler(
            tmp_path, 'for a in "$@"; do case "$a" in *.c) echo "$a:1: error: bad" >&2; echo "  more of it" >&2;; esac; done; exit 1'
        ),
    )
    for number in (1.5, 2.0):
        step = tm.compile(lambda x, number=number: tm.tanh(x * number) + 1)
        np.testing.assert_array_equal(step(X).data, expected(number))
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_compiler_with_arguments(own_cache, monkeypatch):
    plain = cache.compiler()[0]
    monkeypatch.setenv("CC", f"{plain} -DUNUSED=1")
    cache.compiler.cache_clear()
    assert cache.compiler() == (plain, "-DUNUSED=1")
    np.testing.assert_allclose(step_of(1.5)(X).data, expected(1.5), rtol=1e-14)


# -- matrix products without BLAS ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_without_blas(monkeypatch, dtype):
    library, _ = lower_c.runtime()
    monkeypatch.setattr(lower_c, "runtime", lambda: (library, False))
    rng = np.random.default_rng(0)
    arrays = {
        "x": rng.standard_normal((9, 6)),
        "y": rng.standard_normal((6, 7)),
        "z": rng.standard_normal((2, 9, 8)),
        "v": rng.standard_normal((2, 8, 7)),
    }

    def f(p):
        return p["x"] @ p["y"], p["y"].T @ p["x"].T, tm.matmul(p["z"], p["v"]), tm.tanh(p["x"])[:1] @ p["y"], p["x"][:, ::-1] @ p["y"][::-1]

    from agree import agree

    (step,) = agree(
        f, {name: a.astype(dtype) for name, a in arrays.items()}, lowerings=["c"], tolerance=1e-12 if dtype == "float64" else 1e-5
    )
    assert not step._latest.lowered.has_blas


def test_numpys_own_blas_is_found():
    """Nothing fails without it, but everything would be slow."""
    assert lower_c.runtime()[1]
