"""What is computed: a folder a workload, with the model in tinymem (workload.py) and the same in each peer (in_*.py).

This module loads no NumPy, so that its names are known before the number of threads is settled.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.contestant import Workload

NAMES = {
    "ntm-copy": "ntm_copy",
    "stack-rnn": "stack_rnn",
    "character-lstm": "character_lstm",
    "transformer": "transformer",
    "gru-attention": "gru_attention",
}


def load(name: str) -> Workload:
    """The workload of that name on the command line."""
    workload: Workload = import_module(f"{__name__}.{NAMES[name]}.workload").WORKLOAD
    return workload
