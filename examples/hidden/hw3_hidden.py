"""Hidden checks of assignment 3, to start your own from: tinymem hw grade SUBMISSION --hidden examples/hidden --secret "YOUR COURSE'S OWN".

This file stays with the teacher: it is run in the grader, and no submission gets to see it.
"""

import numpy

from tinymem.homework.properties import Ask, agree, holds, only, values
from tinymem.homework.tasks import Inputs, assignment
from tinymem.testing.strategies import inputs_of

TASKS = [task for task in assignment(3).tasks if task.hidden_points]
SHIFT = assignment(3).task("3.7")


@holds(SHIFT, "there and back again", "A shift by +1 and one by -1 undo each other.")
def there_and_back(ask: Ask, given: Inputs) -> None:
    there = only(ask(given["weighting"], numpy.tile([0.0, 0.0, 1.0], (len(given["weighting"]), 1))))
    back = ask(there, numpy.tile([1.0, 0.0, 0.0], (len(there), 1)))
    agree(back.results, [given["weighting"]], "a shift by +1 and then by -1 does not end where it began")


PROPERTIES = (*(values(task, "larger memories", inputs_of(task.equation, 7)) for task in TASKS), there_and_back)
