"""For the teacher: hand out the exercises, and mark what comes back."""

from pathlib import Path

EXERCISES = Path(__file__).resolve().parent.parent / "chapters" / "exercises"


class ClassroomError(Exception):
    """What the command line shows in one line: the rule, the value and the remedy."""
