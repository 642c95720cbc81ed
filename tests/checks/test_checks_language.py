"""What the checks say in another language: by a table, and in English where it has nothing."""

# ruff: noqa: RUF001, the marks are Chinese

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from d2l_bn import checks
from d2l_bn.checks import language

from mxnet import nd

FOLDER = Path(language.__file__).parent
TABLE = json.loads((FOLDER / "sentences.zh.json").read_text(encoding="utf-8"))
SENTENCES = {
    sentence
    for name, table in json.loads((FOLDER / "sentences.json").read_text(encoding="utf-8")).items()
    if name not in ("mxnet", "torch", "numpy", "old", "new")  # of `framework.py`
    for sentence in table.values()
}


def test_every_sentence_is_in_the_table_and_keeps_its_places():
    code = {each for each in SENTENCES if not re.search(r"[a-z]+ [a-z]+ ", each)}
    assert sorted(SENTENCES - code - TABLE.keys()) == []
    for english in SENTENCES & TABLE.keys():
        places = [set(re.findall(r"\{\w+\}", text)) for text in (english, TABLE[english])]
        assert places[0] - {"{are}"} == places[1], english


def test_the_table_has_no_sentence_that_is_no_longer_said():
    source = "\n".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py"))
    for english in TABLE.keys() - SENTENCES:
        longest = max(re.split(r"\{\}|, |: ", english), key=len).strip()
        words = re.findall(r"\w+", longest)
        assert all(word in source for word in words), english


def unbiased(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    mean = X.mean(axis=0)
    var = ((X - mean) ** 2).sum(axis=0) / (len(X) - 1)
    return gamma * (X - mean) / nd.sqrt(var + eps) + beta, moving_mean, moving_var


@pytest.mark.parametrize(
    "candidate, words",
    [
        (unbiased, "你的方差除以n - 1。批量归一化除以n，即一个通道的值的个数。"),
        (lambda X, *rest: (X.foo, *rest[2:4]), "MXNet的数组没有foo，那是别的库的"),
        (lambda *given: None, "你的函数什么也没有返回（None）。"),
        (lambda X, *rest: (2 * X, *rest[2:4]), "而批量的是[2.0, 4.0]"),
    ],
)
def test_a_student_reads_chinese(monkeypatch, candidate, words):
    monkeypatch.setenv("D2L_BN_LANGUAGE", "zh")
    with pytest.raises(checks.CheckFailed) as failed:
        checks.batch_norm(candidate, "dense")
    lines = str(failed.value).splitlines()
    assert lines[0].startswith("全连接层的输入，训练模式：") and "\n  在 X = " in "\n".join(lines)
    assert words in "".join(line.strip() for line in lines)
    assert all(sum(1 + (char > "⹿") for char in line) <= 80 for line in lines)


def test_other_frameworks_are_told_in_english(monkeypatch):
    monkeypatch.setenv("D2L_BN_LANGUAGE", "zh")
    with pytest.raises(checks.CheckFailed, match="Dense input, training mode: your function"):
        checks.batch_norm(lambda *given, training: None, "dense", framework="numpy")
    with pytest.raises(checks.CheckFailed, match="全连接层的输入"):
        checks.batch_norm(lambda *given: None, "dense")


def test_a_language_without_a_table_leaves_english(monkeypatch):
    monkeypatch.setenv("D2L_BN_LANGUAGE", "../../xx")
    assert language.translated("dense input: right") == "dense input: right"
