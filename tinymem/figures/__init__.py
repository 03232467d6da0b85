"""Floor 5: one function per figure of the lecture, data in, `matplotlib.figure.Figure` out.

No model, no training and no file but the shipped data may enter here, and no pyplot: a figure can be drawn in a thread,
on a machine without a screen, and leaves nothing behind.  A room a system: `tinymem.figures.ntm`.
"""

from tinymem.figures.paper import paper_curves
from tinymem.figures.style import save

__all__ = ["paper_curves", "save"]
