"""The sandbox's end of the pipe: runs a student's cells, and answers questions about them.

It reads requests from its standard input, one a line, and answers each with one line. It holds no
test, no expected value and no input before it is asked; whatever a student's code does to this
process, what comes out is numbers and text, and they are judged outside.
"""

import ctypes
import io
import linecache
import os
import resource
import sys

from d2l_bn.checks.answers import Answers, described
from d2l_bn.checks.plain import dumps, loads

SHOWN = 4000  # characters of a cell's output
FILES = 32 * 2**20  # bytes of a file
UNREADABLE = 4, 0  # prctl's PR_SET_DUMPABLE: other processes can't read the memory of this one


class Bounded(io.TextIOBase):
    """Keeps the first characters that are written, and forgets the rest."""

    encoding = "utf-8"

    def __init__(self):
        self.text = ""

    def write(self, text):
        """Keep what still fits."""
        self.text += text[: SHOWN - len(self.text)]
        return len(text)


def main():
    """Answer until there are no more requests."""
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nothing, number)
    limit()
    names = {"__name__": "notebook", "display": print}
    student = Answers(names)
    for number, line in enumerate(requests):
        request = loads(line)
        token, what = request.pop("token"), request.pop("what")
        output = sys.stdout = sys.stderr = Bounded()
        answer = (
            run(names, output, number, **request) if what == "run" else ask(student, what, request)
        )
        print(dumps({"token": token, **answer}), file=answers, flush=True)


def limit():
    """Give up rights, then set the limits that hold for each process."""
    uid = int(os.environ.pop("WORKER_UID", "0"))
    if uid:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    memory = int(os.environ.pop("WORKER_MB")) * 2**20
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, int(os.environ.pop("WORKER_SECONDS"))),
        (resource.RLIMIT_NPROC, int(os.environ.pop("WORKER_PROCESSES"))),
        (resource.RLIMIT_FSIZE, FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))
    ctypes.CDLL(None).prctl(*UNREADABLE, 0, 0, 0)


def run(names, output, number, source):
    """Run a cell; what failed, in words, and what was printed."""
    name, error = f"<cell {number}>", None
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    try:
        exec(compile(source, name, "exec"), names)
    except BaseException as raised:  # also SystemExit and KeyboardInterrupt
        error = described(raised.with_traceback(raised.__traceback__))
        raised.__traceback__ = None  # which would hold on to all the memory of the cell
    return {"error": error, "output": output.text}


def ask(student, what, request):
    """Answer a question; what can't be answered is an answer, too."""
    try:
        return getattr(student, what)(**request)
    except BaseException as error:
        return {"error": described(error), "ready_made": []}


if __name__ == "__main__":
    main()
