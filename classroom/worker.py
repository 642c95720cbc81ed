"""The sandbox's end of the pipe: runs a student's cells, and answers questions about them.

It reads requests from its standard input, one a line, and answers each with one line. It holds no
test, no expected value and no input before it is asked; whatever a student's code does to this
process, what comes out is numbers and text, and they are judged outside.
"""

import contextlib
import ctypes
import errno
import io
import linecache
import os
import resource
import struct
import sys

import reader  # type: ignore[import-not-found]

from d2l_bn.checks.answers import Answers, described
from d2l_bn.checks.plain import dumps, loads

SHOWN = 4000  # characters of a cell's output
FILES = 32 * 2**20  # bytes of a file
HANDLES = 256  # open files of a process
DIE_TOO, NO_NEW_RIGHTS, FILTER = (1, 9), (38, 1, 0, 0), (22, 2)  # of prctl
# Calls that give memory which no limit counts, or what others lack then, or a namespace in which
# others hold: sockets, shared memory, messages, ptrace, inotify, fanotify, namespaces, mounts,
# keys, memfd, vmsplice, landlock.
NEWER = " 425 428 429 430 432 442 444 447"  # with the same numbers on all machines
CALLS = {  # by machine: its mark; clone and those with ARGUMENTS; those that are refused
    "x86_64": (0xC000003E, (56, 9, 13, 157, 72), "29 41 53 64 68 101 155 161 165 240 248 249 250 "
               "253 272 278 294 298 300 304 308 310 311 319 321 323" + NEWER),
    "aarch64": (0xC00000B7, (220, 222, 134, 167, 25), "26 40 41 51 75 97 117 180 186 190 194 198 "
                "199 217 218 219 241 262 265 268 270 271 279 280 282" + NEWER),
}  # fmt: skip
ARGUMENTS = (  # the call, and place, bits and value of an argument that is refused
    (1, 3, 0x21, 0x21),  # mmap: shared memory that no process shows once its pages are dropped
    (2, 0, 0xFF, 17),  # sigaction: SIGCHLD, since time of children that nobody waits for is lost
    (3, 0, 0xFF, 1),  # prctl: to live on without the parent
    (4, 1, 0xFFFF, 1024),  # fcntl: leases, which let others wait for a file
    (4, 1, 0xFFFE, 6),  # and locks of bytes, which are memory of the kernel's
    (4, 1, 0xFFFC, 36),
)
CLONE3, NAMESPACES = 435, 0x7E020000


class Bounded(io.StringIO):
    """Keeps the first characters that are written, and forgets the rest."""

    encoding = "utf-8"

    def write(self, text):
        """Keep what still fits."""
        super().write(text[: max(0, SHOWN - self.tell())])
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
        if what == "run":
            answer = run(names, output, number, **request)
        else:
            answer = ask(student if hasattr(student, what) else reader, what, request)
        print(dumps({"token": token, **answer}), file=answers, flush=True)


def limit():
    """Give up rights, then set the limits that hold for each process."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # where the machine runs out of memory, nobody else's goes first
    uid, isolated = (int(os.environ.pop(f"WORKER_{n}", "0")) for n in ("UID", "ISOLATED"))
    if uid:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    memory = int(os.environ.pop("WORKER_MB")) * 2**20
    processes = int(os.environ.pop("WORKER_PROCESSES"))
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, int(os.environ.pop("WORKER_SECONDS"))),
        (resource.RLIMIT_NPROC, processes or resource.RLIM_INFINITY),
        (resource.RLIMIT_NOFILE, HANDLES),
        (resource.RLIMIT_FSIZE, FILES),
        (resource.RLIMIT_CORE, 1),  # with 0, a program that the system pipes them to gets them
    ):
        with contextlib.suppress(ValueError):  # it is lower already
            resource.setrlimit(kind, (value, value))
    libc = ctypes.CDLL(None, use_errno=True)
    program = b"".join(struct.pack("<HBBI", *line) for line in rules())
    kept = ctypes.create_string_buffer(program)
    filtered = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(kept))
    refused = libc.prctl(*NO_NEW_RIGHTS, 0) or (isolated and libc.prctl(*DIE_TOO, 0, 0, 0))
    refused = refused or libc.prctl(*FILTER, filtered, 0, 0)
    if refused and isolated:
        raise OSError(ctypes.get_errno(), "the kernel takes no filter of system calls")


def rules():
    """A program for the kernel, which answers some system calls with an error: seccomp's BPF."""
    load, equal, above, bits, both, answer = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
    refuse, missing = ((answer, 0, 0, 0x50000 + n) for n in (errno.EPERM, errno.ENOSYS))
    machine, numbers, calls = CALLS[os.uname().machine]
    lines = [(load, 0, 0, 4), (equal, 1, 0, machine), refuse, (load, 0, 0, 0)]
    lines += [(above, 0, 1, 0x40000000), refuse, (equal, 0, 1, CLONE3), missing]  # not x32's calls
    for number in map(int, calls.split()):
        lines += [(equal, 0, 1, number), refuse]
    for call, place, mask, value in ARGUMENTS:
        lines += [(equal, 0, 5, numbers[call]), (load, 0, 0, 16 + 8 * place), (both, 0, 0, mask)]
        lines += [(equal, 0, 1, value), refuse, (load, 0, 0, 0)]
    lines += [(equal, 0, 3, numbers[0]), (load, 0, 0, 16), (bits, 0, 1, NAMESPACES), refuse]
    return [*lines, (answer, 0, 0, 0x7FFF0000)]


def run(names, output, number, source):
    """Run a cell; what failed, in words, and what was printed."""
    name, error, source = f"<cell {number}>", None, reader.runnable(source)
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    try:
        exec(compile(source, name, "exec"), names)
    except BaseException as raised:  # also SystemExit and KeyboardInterrupt
        error = described(raised)
        raised.__traceback__ = None  # which would hold on to all the memory of the cell
    return {"error": error, "output": output.getvalue()}


def ask(student, what, request):
    """Answer a question; what can't be answered is an answer, too."""
    try:
        return getattr(student, what)(**request)
    except BaseException as error:
        return {"error": described(error), "ready_made": []}


if __name__ == "__main__":
    main()
