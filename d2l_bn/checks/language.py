"""What the checks say, in the language of the variable D2L_BN_LANGUAGE: by a table from English.

A key of `sentences.zh.json` is a sentence of `sentences.json`, or one of the code with {} for each
of its values. What isn't in the table stays English: a sentence that has changed, names, numbers.
So do checks of code in PyTorch and NumPy, since `framework.py` changes English words.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path

framework = "mxnet"  # of the check that speaks


def translated(text: str) -> str:
    """The text in the language; parts with commas between are looked up one by one."""
    sentences, patterns = table(
        os.environ.get("D2L_BN_LANGUAGE", "") if framework == "mxnet" else ""
    )
    if text in sentences or not sentences:
        return sentences.get(text, text)
    for pattern, words in patterns:
        found = pattern.fullmatch(text)
        if found:
            return words.format(*map(translated, found.groups()))
    parts = re.split(r", (?![^(\[]*[)\]])", text)
    spoken = [translated(part) for part in parts] if len(parts) > 1 else parts
    return sentences[", "].join(spoken) if spoken != parts else text


@cache
def table(language: str) -> tuple[dict[str, str], list[tuple[re.Pattern[str], str]]]:
    """The sentences of a language, by the English, and those with values in them, longest first."""
    path = Path(__file__).parent / f"sentences.{language}.json"
    if not path.is_file():
        return {}, []
    sentences = json.loads(path.read_text(encoding="utf-8"))
    keys = sorted((key for key in sentences if "{}" in key), key=len, reverse=True)
    return sentences, [
        (re.compile("(.+?)".join(map(re.escape, key.split("{}"))), re.DOTALL), sentences[key])
        for key in keys
    ]
