"""`tinymem doctor`: what this machine can do, and why what it cannot do does not work."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy

from tinymem.engine.backend import probe_cupy
from tinymem.engine.compile.cache import NoCompiler, compiler, folder
from tinymem.engine.compile.lower_c import runtime
from tinymem.lesson import lesson_files, table
from tinymem.version import __version__


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _blas() -> str:
    built: Any = numpy.show_config(mode="dicts")
    blas = built.get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()


def _threads() -> str:
    set_here = {name: os.environ[name] for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS") if name in os.environ}
    chosen = ", ".join(f"{name}={value}" for name, value in set_here.items()) or "BLAS chooses"
    return f"{os.cpu_count()} cores; {chosen}. Training runs of tinymem set one BLAS thread each, and run side by side"


def _compiled_steps() -> str:
    try:
        command, (_, has_blas) = compiler(), runtime()
    except NoCompiler as error:
        return f"replayed by NumPy: {str(error).splitlines()[0]}"
    blas = "NumPy's own BLAS" if has_blas else "plain loops for matrix products (this NumPy's BLAS was not found)"
    return f"native code by {' '.join(command)}, {blas}; kernels are kept in {folder()}"


def report() -> str:
    """The report as text: one row a question."""
    cupy = probe_cupy()
    checkpoints = {name: (path.parent / "checkpoints" / name) for name, path in lesson_files().items()}
    shipped = [f"{name} {'with' if folder.is_dir() else 'WITHOUT'} checkpoints" for name, folder in checkpoints.items()]
    rows = [
        ("", "this machine"),
        ("tinymem", f"{__version__} in {Path(__file__).parent}"),
        ("Python", f"{sys.version.split()[0]} on {platform.system()} {platform.machine()}"),
        ("NumPy", f"{numpy.__version__}, BLAS: {_blas()}"),
        ("threads", _threads()),
        ("compiled steps", _compiled_steps()),
        ("CuPy", f"{'usable' if cupy.usable else 'not usable'}: {cupy.reason}"),
        *((package, _version(package)) for package in ("matplotlib", "safetensors", "tqdm", "tyro")),
        *((package, f"{_version(package)} (only for tests and homework)") for package in ("pytest", "hypothesis")),
        ("lessons", "; ".join(shipped) or "none found: the installation is incomplete"),
    ]
    return table(rows)
