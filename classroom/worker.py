"""Runs the cells of one submission, one at a time, inside the sandbox.

It reads {"token", "source", "test"} from its standard input, one JSON text a line, and answers each
with {"token", "error", "message", "output"}. A hidden test is in the process only while it runs.
The cells are plain Python, without IPython, whose hooks a student could turn against the tests.
This file stands alone: the sandbox shows nothing else of `classroom`.
"""

import importlib
import io
import json
import os
import resource
import sys

SHOWN = 4000  # characters of a cell's output
PROCESSES = 64
FILES = 32 * 2**20  # bytes of a file


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
    """Take cells until there are no more."""
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nothing, number)
    limit(int(os.environ.pop("WORKER_MB")) * 2**20, int(os.environ.pop("WORKER_SECONDS")))
    names = {"__name__": "notebook", "display": print}
    genuine = relied_on()
    for line in requests:
        request = json.loads(line)
        token, cell = request["token"], [request.pop("source")]
        del line  # no frame keeps the text of a test while answers run
        answer = run(names, cell, genuine if request["test"] else None)
        print(json.dumps({"token": token, **answer}), file=answers, flush=True)


def limit(memory, seconds):
    """Give up rights, then set the limits on memory, computing time, processes and files."""
    uid = int(os.environ.pop("WORKER_UID", "0"))
    if uid:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),  # should the program that watches it be killed
        (resource.RLIMIT_NPROC, PROCESSES),
        (resource.RLIMIT_FSIZE, FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))


def relied_on():
    """The functions that tests rely on, by name, each with its code."""
    import numpy

    importlib.import_module("d2l_bn.checks")
    modules = [m for name, m in sys.modules.items() if name.startswith("d2l_bn.checks")]
    found = {(m.__name__, name): value for m in modules for name, value in vars(m).items()}
    found.update((("numpy", name), getattr(numpy, name)) for name in ("allclose", "array", "sqrt"))
    return {
        place: (id(value), id(getattr(value, "__code__", None)))
        for place, value in found.items()
        if callable(value)
    }


def run(names, cell, genuine):
    """Run one cell, a test if `genuine` is given; what failed, in words, and what was printed.

    `cell` is a list of the text alone, which is taken out of it.
    """
    output = Bounded()
    sys.stdout = sys.stderr = output
    error = tampered = None
    try:
        tampered = genuine and tampering(genuine)
        exec(compile(cell.pop(), "<cell>", "exec"), names)
    except BaseException as raised:  # also SystemExit and KeyboardInterrupt
        error = raised.with_traceback(None)  # which would hold on to all the memory of the cell
    try:
        tampered = tampered or (genuine and tampering(genuine))
    except BaseException:
        tampered = "what the tests rely on no longer works"
    if tampered:
        return {"error": "Tampering", "message": tampered, "output": ""}
    try:
        message = str(error)[:SHOWN]
    except BaseException:
        message = "an exception that can't be shown"
    if error is None:
        return {"error": "", "message": "", "output": output.text}
    return {"error": type(error).__name__[:100], "message": message, "output": output.text}


def tampering(genuine):
    """Compare what the tests rely on, and try it with wrong answers, which have to fail."""
    import numpy

    from d2l_bn import checks

    for place, now in relied_on().items():
        if genuine.get(place, now) != now:
            return f"{place[0]}.{place[1]} has been changed"
    wrong = {
        "checks.batch_norm": lambda: checks.batch_norm(lambda *given: None, "dense"),
        "checks.layer": lambda: checks.layer(lambda *given: None, "parameters"),
        "checks.backward": lambda: checks.backward(lambda *given: None, "beta"),
    }
    for name, attempt in wrong.items():
        try:
            attempt()
        except AssertionError as error:
            if type(error).__name__ == "CheckFailed":
                continue
        except Exception:
            pass
        return f"{name} no longer refuses a wrong answer"
    if numpy.allclose(numpy.zeros(2), numpy.ones(2)) or not numpy.allclose([1.0], [1.0]):
        return "numpy.allclose no longer tells 0 from 1"
    return ""


if __name__ == "__main__":
    main()
