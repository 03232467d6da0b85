"""The curves of the paper, to be drawn behind ours (data/README.md says where they come from)."""

from __future__ import annotations

import json
from importlib import resources

import numpy

from tinymem.figures.checks import Array


def paper_curves(figure_key: str) -> dict[str, Array]:
    """{system: points (n, 2)} of one figure of Graves et al. 2014, for example "fig3_copy".

    A point is (thousands of sequences, bits per sequence); in "fig11_recall_generalisation" (items, bits per sequence).
    """
    figures = json.loads((resources.files("tinymem.figures") / "data" / "ntm_paper_curves.json").read_text("utf-8"))
    if figure_key not in figures:
        raise ValueError(f"no curves of a figure {figure_key!r}; there are {', '.join(figures)}")
    return {name.replace("_", "-"): numpy.array(points, dtype=float) for name, points in figures[figure_key]["curves"].items()}
