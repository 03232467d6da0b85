"""An assignment of your own: take any registered equation, say what to look at when it is wrong, and the checks follow.

See it work:  python examples/own_assignment.py
Hand it out:  tinymem hw new examples/own_assignment.py DIR
Grade it:     tinymem hw grade SUBMISSION --assignment examples/own_assignment.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from tinymem.equations.dnc import precedence
from tinymem.homework.answers import InChild
from tinymem.homework.checking import run
from tinymem.homework.properties import Ask, agree, holds, of_every
from tinymem.homework.report import summary
from tinymem.homework.tasks import Assignment, Inputs, Task

# The ten lines: one task; values, domain, manners and dtype are checked from what the equation declares …
TASK = Task("6.1", precedence, "References: hybrid computing", hint="What is written now comes first; all else keeps 1 - Σ w of its share.")


# … and an invariant, where you know one.
@holds(TASK, "writing nothing changes nothing", "1 - Σ w is 1 where nothing is written.")
def nothing_written(ask: Ask, given: Inputs) -> None:
    agree(ask(given["previous"], 0 * given["weighting"]).results, [given["previous"]], "the precedence changed")


ASSIGNMENT = Assignment(6, "The DNC: in which order was it written?", (TASK,), of_every((TASK,), nothing_written))

# What a student hands in is hw6.py.  This one forgets the sum.
SUBMISSION = """
def precedence(previous, weighting):
    return (1 - weighting) * previous + weighting
"""

if __name__ == "__main__":
    print(f"{TASK.description}\n")
    with TemporaryDirectory() as folder:
        path = Path(folder) / ASSIGNMENT.file
        path.write_text(SUBMISSION, encoding="utf-8")
        answers = InChild(path)
        outcomes = list(run(ASSIGNMENT.properties, answers))
        answers.close()
    print(summary(ASSIGNMENT, outcomes))
    if all(outcome.passed for outcome in outcomes):
        raise SystemExit("a wrong solution was accepted")
