"""Which public names CuPy has: read from the committed list, so that it can be asked where CuPy is not installed.

`import cupy` needs no GPU, so the list is made on any machine:  python -m tinymem.testing.cupy_names
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("cupy_names.txt")
OWNERS = ("cupy", "cupy.ndarray", "cupy.ufunc")


@cache
def names_in_cupy(owner: str = "cupy") -> frozenset[str]:
    """The public names of one of OWNERS: names_in_cupy("cupy.ndarray") holds "sum"."""
    lines = (line for line in FILE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#"))
    pairs = (line.rpartition(".") for line in lines)
    return frozenset(name for place, _, name in pairs if place == owner)


def cupy_version() -> str:
    """The version of CuPy the list was made from."""
    return FILE.read_text(encoding="utf-8").split(maxsplit=3)[2]


def listing(cupy: Any) -> str:
    """The text of the list for the module `cupy`: a header and one dotted name a line, sorted within each owner."""
    header = (
        f"# CuPy {cupy.__version__}\n"
        "# The public names of the module, of its arrays and of its ufuncs, read from the real package (no GPU needed):\n"
        "# python -m tinymem.testing.cupy_names\n"
    )
    owners = {"cupy": cupy, "cupy.ndarray": cupy.ndarray, "cupy.ufunc": cupy.ufunc}
    return header + "".join(
        f"{place}.{name}\n" for place, owner in owners.items() for name in sorted(dir(owner)) if not name.startswith("_")
    )


if __name__ == "__main__":
    import cupy

    FILE.write_text(listing(cupy), encoding="utf-8")
