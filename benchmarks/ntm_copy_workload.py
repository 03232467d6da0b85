"""What every contestant of `ntm_copy` computes: the sizes, the optimiser, and how closely they must agree."""

from tinymem.models.ntm import NTMConfig
from tinymem.tasks.algorithms import CopyTask
from tinymem.training.optimisers import GravesRMSProp

TASK = CopyTask()
CONFIG = NTMConfig(inputs=TASK.inputs, outputs=TASK.outputs, controller="lstm")
OPTIMISER = GravesRMSProp()
LENGTH, BATCHES, CLIP = 20, (1, 16), 10.0
TOLERANCE = 1e-9  # float64; a wrong equation differs by far more, another order of summation by far less
