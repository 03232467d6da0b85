"""The figures of the Neural Turing Machine's part of the lecture (Graves et al. 2014), by the number of the paper's figure."""

from tinymem.figures.copying import generalisation, head_parameters, memory_use
from tinymem.figures.curves import initial_weightings, learning_curves, wrong_bits_by_length
from tinymem.figures.flow import flow_diagram

__all__ = [
    "flow_diagram",  # Fig. 2
    "generalisation",  # Figs. 4, 5
    "head_parameters",
    "initial_weightings",
    "learning_curves",  # Fig. 3
    "memory_use",  # Fig. 6
    "wrong_bits_by_length",
]
