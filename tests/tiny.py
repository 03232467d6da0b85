"""The smallest experiment that goes through everything, for the tests of training and of the command line."""

import dataclasses

from tinymem.models.ntm import NTMConfig
from tinymem.tasks.algorithms import CopyTask
from tinymem.training.experiment import Experiment
from tinymem.training.loop import Schedule
from tinymem.training.optimisers import GravesRMSProp

TASK = CopyTask(bits=3, longest=2)
NTM = NTMConfig(TASK.inputs, TASK.outputs, hidden=12, locations=6, width=5)
SHORT = Schedule(12, batch=2, log_every=4, validate_every=4, checkpoint_every=6)


def experiment(**changes):
    return dataclasses.replace(Experiment("tiny", NTM, TASK, GravesRMSProp(1e-3), SHORT, seed=3), **changes)
