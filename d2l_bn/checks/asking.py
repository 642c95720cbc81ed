"""The judge's side of a check: it asks, compares, and says in words what does not hold."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Callable, NoReturn, Optional

import numpy as np

from d2l_bn.checks import cases, language, phrases
from d2l_bn.checks.cases import Case
from d2l_bn.checks.failure import CheckFailed
from d2l_bn.checks.framework import ANSWERS, Framework
from d2l_bn.checks.phrases import Cause
from d2l_bn.checks.watch import AUTOGRAD, Watch


class Respondent:
    """Whoever answers a check's questions about one function or class of a student's.

    Attributes
    ----------
    seed : tuple of int
        What the inputs are drawn from that a check does not show. Empty in a notebook, so that a
        check says the same each time; secret when work is marked.
    seconds : float or None
        The time that was measured, where a check measures one.
    clock : callable () -> float
        The seconds that whoever answers has had of a processor, whatever else the machine does.
    framework : Framework
    """

    seed: tuple[int, ...] = ()
    seconds: Optional[float] = None
    clock = staticmethod(time.monotonic)
    framework = Framework()

    def ask(self, what: str, **request) -> dict:
        """Return the answer to a question; `what` is the name of a method of `Answers`."""
        raise NotImplementedError

    def afresh(self) -> Respondent:
        """Return one that has seen nothing so far, if there is another; a file goes there."""
        return self

    def tell(self, line: str) -> None:
        """Say that a part is right."""
        print(line)


class Here(Respondent):
    """Asks in this process, as a notebook does."""

    clock = staticmethod(time.process_time)

    def __init__(self, candidate, watch, framework: Framework) -> None:
        self.framework = framework
        self.answers = ANSWERS[framework.name]({"candidate": candidate}, watch)

    def ask(self, what: str, **request) -> dict:
        """Return the answer to a question."""
        return getattr(self.answers, what)("candidate", **request)


@dataclass(frozen=True)
class Check:
    """One place of a check: who is asked, what is checked, and on which input.

    Parameters
    ----------
    respondent : Respondent
        Whoever answers.
    part : str
        What is checked, such as "dense input, training mode".
    given : mapping of str to array or number
        The input to show.
    ready_made : bool
        Whether ready-made answers may be called.
    """

    respondent: Respondent
    part: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    ready_made: bool = False

    @staticmethod
    def of(candidate, ready_made: bool, *written: str, by_hand: bool = False) -> Check:
        """The check of a student's object, or of one that answers from elsewhere.

        `written` is what `Framework` takes. Where a gradient is asked for by hand, autograd is
        ready-made, too.
        """
        if not isinstance(candidate, Respondent):
            candidate = Here(candidate, lambda: Watch(by_hand), Framework(*written))
        language.framework = candidate.framework.name
        return Check(candidate, ready_made=ready_made)

    def at(self, part: str, **given) -> Check:
        """The same check at another place."""
        return replace(self, part=part, given=given)

    def run(self, known: Mapping[str, Callable[[Check], str]], parts: tuple[str, ...]) -> None:
        """Run these parts, or all. A part returns its title or raises CheckFailed."""
        for part in parts:
            if part not in known:
                raise ValueError(f"A part is one of {', '.join(known)}; got {part!r}.")
        for part in parts or known:
            self.respondent.tell(language.translated(f"{known[part](self)}: right"))

    def draw(self, shape: tuple[int, ...], number: int, **options) -> Case:
        """Draw the input with this number."""
        return cases.draw(shape, (*self.respondent.seed, number), **options)

    def fail(
        self, property: str, expected=None, received=None, cause: str = "", given=None
    ) -> NoReturn:
        """Say, in the words of the student's framework, what does not hold here, or there."""
        put = self.respondent.framework.words
        raise CheckFailed(
            put(self.part),
            property if property.startswith("your code raised") else put(property),
            input=self.respondent.framework.arguments(self.given if given is None else given),
            expected=put(expected),
            received=put(received),
            cause=Cause(put(cause), getattr(cause, "label", "")),
        )

    def blame(self, label: str, expected=None, received=None, given=None, **words) -> NoReturn:
        """Say what is wrong, and why, by the label of both."""
        wrong, cause = phrases.wrong(label, **words), phrases.said(label, **words)
        self.fail(wrong, expected, received, cause, given)

    def ask(self, what: str, explain: Callable[[str], str] = lambda words: "", **request) -> dict:
        """Return an answer; an exception or a ready-made answer is a failed check.

        `explain` finds a cause when there is an exception with some words, or returns "".
        """
        answer = self.respondent.ask(what, **request)
        if answer["ready_made"] and not self.ready_made:
            called = min(answer["ready_made"], key=lambda name: name in AUTOGRAD)
            self.blame("ready-made", given={}, called=called)
        if "error" in answer:
            error, numpy = answer["error"], self.respondent.framework.name == "numpy"
            self.fail(
                f"your code raised {error['kind']}: {error['words']}{error['where']}",
                cause=explain(error["words"])
                or hint(f"{error['kind']}: {error['words']}", error["where"], numpy),
            )
        return answer

    def three_values(self, result: dict, names: tuple[str, str, str], type="NDArray") -> list:
        """Return the three arrays of a result, or say what it is in their place."""
        type = self.respondent.framework.array or type
        values = ", ".join(names)
        if result["kind"] == "None":
            self.blame("returned: nothing", values=values)
        if result["many"] != 3:
            count = "one value" if result["many"] is None else f"{result['many']} values"
            received = f"{count}, {result['kind']}"
            self.blame("returned: not all", f"({values})", received, values=values)
        for name, value in zip(names, result["values"]):
            if value["type"] != type:
                self.blame(f"returned: no {type}", name=name, kind=value["kind"])
        return [np.asarray(value["array"], np.float64) for value in result["values"]]

    def shape(self, name: str, value: np.ndarray, shape: tuple[int, ...], cause: str = "") -> None:
        """Say so if `value` does not have this shape."""
        if tuple(value.shape) != tuple(shape):
            self.fail(
                f"the shape of {name} is wrong.",
                str(tuple(shape)),
                str(tuple(value.shape)),
                cause or phrases.said("shape: wrong axis", name=name),
            )

    def finite(self, name: str, value: np.ndarray, cause: str) -> None:
        """Say so if `value` is not a number somewhere."""
        if not np.isfinite(value).all():
            self.fail(f"{name} contains NaN or infinity.", received=value, cause=cause)


def find(candidates: Iterable, received: np.ndarray, expected: np.ndarray) -> Cause:
    """The cause whose numbers are those received, and not those expected, or an empty one."""
    distance = np.abs(received - expected).max() if received.shape == expected.shape else 0
    with np.errstate(all="ignore"):
        for cause, numbers in candidates:
            numbers = np.asarray(numbers)
            if numbers.size == received.size and np.isfinite(numbers).all():
                error = np.abs(received - numbers.reshape(received.shape)).max()
                if error <= 1e-4 * max(1, np.abs(numbers).max()) and error < 0.1 * distance:
                    return cause
    return Cause()


def hint(words: str, where: str, numpy: bool = False) -> Cause:
    """The likely cause of an exception with these words, in this line."""
    if "'NoneType' object is not iterable" in words and not where:
        return phrases.said("layer: parameters first")  # Gluon's, of a trainer without parameters
    found = phrases.raised("raised", words)
    if found and (where or "NoneType" not in found.label):
        return found
    foreign = phrases.table("foreign")
    name = re.search(r"(?:NDArray'|mxnet\.ndarray'|'Tensor') .*no attribute '(\w+)'", words)
    if name:
        known = "foreign" if name[1] in foreign else "no attribute"
        return phrases.said(f"raised: {known}", what=name[1], ours=foreign.get(name[1]))
    mixed = not numpy and re.search(r"\bnp\.", where)
    return phrases.said("raised: NumPy") if mixed else Cause()
