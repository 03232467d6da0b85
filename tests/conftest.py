"""What all tests share: a Hypothesis profile without chance or clocks, and the backends an engine test runs on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy loads: two threads on small arrays wait for each other

import pytest
from hypothesis import HealthCheck, settings

import tinymem as tm
from tinymem.engine.compile import cache

# `thorough` is for an evening: HYPOTHESIS_PROFILE=thorough pytest
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=20, database=None)
settings.register_profile(
    "thorough", deadline=None, max_examples=500, print_blob=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def namespace_named(name: str) -> Any:
    """ "numpy", or the array module of the strict device double, which is loaded only when asked for."""
    if name == "strict":
        from tinymem.testing import strict

        return strict.namespace
    return name


@pytest.fixture(scope="session", autouse=True)
def kernel_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Compiled kernels of the tests go into a temporary folder, which all workers of a run share."""
    base = tmp_path_factory.getbasetemp()
    shared = Path(os.environ.get("TINYMEM_TEST_CACHE") or (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "kernels")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYMEM_CACHE", str(shared))
        cache.folder.cache_clear()
        yield shared
    cache.folder.cache_clear()


@pytest.fixture(params=["numpy", "strict"])
def backend(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Run the test once with new arrays made by NumPy, and once by the strict double; yields the array module."""
    with tm.use(namespace_named(request.param)) as xp:
        yield xp
