"""What is said of each cause: from its label to its sentence, by the table `sentences.json`.

A label names a slot and what stands in it, "spread: v + eps". In a sentence, {m} and {v} are the
names of the mean and the variance here, {M} and {V} what they are called, {what} is what stands in
the slot, {where} says where the channels are. A label with "*" stands for all of its slot that have
no sentence; the table "alone" has those for a slip that comes alone. Where a label of "said" is of
one property, the table "wrong" says that it does not hold.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from d2l_bn.checks import language


class Cause(str):
    """A cause in words, with its label, which tests and translations go by; empty without one."""

    label: str

    def __new__(cls, words: str = "", label: str = "") -> Cause:
        """The words, and the label."""
        cause = super().__new__(cls, words)
        cause.label = label
        return cause

    @property
    def named(self) -> bool:
        """Whether it is a cause, and not only what the numbers show."""
        return bool(self) and not self.label.startswith("left")


@cache
def table(name: str) -> dict[str, str]:
    """One of the tables of sentences."""
    text = Path(__file__).with_name("sentences.json").read_text(encoding="utf-8")
    return json.loads(text)[name]


def said(label: str, **words) -> Cause:
    """The cause of this label in the table of single causes."""
    return Cause(_filled(table("said")[label], words), label)


def wrong(label: str, **words) -> str:
    """What does not hold, by the same label."""
    return _filled(table("wrong")[label], words)


def raised(name: str, words: str, **filled) -> Cause:
    """The cause of an exception of these words, by a table of what they hold."""
    found = next((text for text in table(name) if text in words), "")
    return Cause(_filled(table(name)[found], filled), f"raised: {found}") if found else Cause()


def explained(name: str, labels: list[str], formula: str = "", **words) -> Cause:
    """The sentence of several slips together, or one of each, or a formula."""
    label = " & ".join(sorted(labels))
    whole = _sentence(name, label, words, alone=len(labels) == 1)
    each = [_sentence(name, one, words) for one in labels]
    return Cause(
        whole or (language.translated(" Also, ").join(each) if all(each) else formula), label
    )


def _sentence(name: str, label: str, words: dict, alone: bool = False) -> str:
    known = {_put(key, words): text for key, text in table(name).items()}
    known.update(table("alone") if alone else {})
    what = label.rsplit(": ", 1)[-1]
    the = {"subtracted": "the mean", "variance": "the variance"}.get(label.split(" ")[0])
    filled = {"the": the or "the mean and the variance", **words, "what": what}
    rest = label.partition(", ")[2] if label.startswith("moving_") else label
    slot = " & ".join(f"{each.split(': ')[0]}: *" for each in rest.split(" & "))
    bare = slot.partition(" ")[2] if the else slot
    other = label.partition(" ")[2] if the and " mean: " not in label else ""
    found = next((key for key in (label, rest, slot, other, bare) if key in known), "")
    return _filled(known[found], filled).strip() if found else ""


def _filled(text: str, words: dict) -> str:
    """The sentence with its words in their places, in the language of the checks."""
    code = ("m", "v", "new")  # these words are names
    spoken = {k: w if k in code else language.translated(str(w)) for k, w in words.items()}
    return _put(language.translated(text), spoken)


def _put(text: str, words: dict) -> str:
    for name, word in words.items():
        text = text.replace("{" + name + "}", str(word))
    return text
