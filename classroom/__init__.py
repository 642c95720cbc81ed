"""For the teacher: hand out the exercises, and mark what comes back."""

from pathlib import Path

EXERCISES = Path(__file__).resolve().parent.parent / "chapters" / "exercises"


class ClassroomError(Exception):
    """What the command line shows in one line: the rule, the value and the remedy."""


def nbgrader():
    """Import nbgrader, or say how to install it."""
    try:
        import nbgrader.preprocessors
    except ImportError as error:
        raise ClassroomError(
            "needs nbgrader, which is not installed: "
            "pip install -c constraints.txt -e '.[classroom]'"
        ) from error
    return nbgrader
