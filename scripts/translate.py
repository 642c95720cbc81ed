"""Say what is stale, missing or different in the translations, and renew their files.

translate.py [--renew] LANGUAGE [NAME ...]: a NAME begins a path, such as chapters/1- or README; by
default all that are begun are looked through. With --renew a file gets the pieces that it lacks, in
English, and loses those whose English is gone; one that isn't there is made.
"""

from __future__ import annotations

import argparse
import calendar
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import chapters  # noqa: E402
from classroom.translation import digest, kept, languages, pieces, translation  # noqa: E402

UNFINISHED = "<!-- unfinished -->\n"  # the first line of a file that may lack some of its pieces
FENCE = re.compile(r"^(`{3,})(.*?)^\1 *$", re.MULTILINE | re.DOTALL)
FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$]+\$", re.DOTALL)
WORDS = re.compile(r"\\text\{[^}]*\}")  # are translated in a formula, too
MONTHS = list(calendar.month_name)  # January is 1
MONTH = re.compile(rf"(?<=\d )({'|'.join(MONTHS[1:])})|({'|'.join(MONTHS[1:])})(?= \d)")
CJK = "\u3000-\u303f\u4e00-\u9fff\uff00-\uffef"


def main() -> int:
    """Do what the arguments say; 1 if something is to be done by a translator."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--renew", action="store_true", help="write the files anew")
    parser.add_argument("language", choices=languages())
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as chapters/1 or README")
    options = parser.parse_intermixed_args()
    found = []
    for english in sources():
        target = translation(english, options.language)
        if not chapters.show(english).startswith(tuple(options.names) or ""):
            continue
        if options.renew and (options.names or target.exists()):
            renew(english, target)
        if target.exists():
            found += [f"{chapters.show(target)}, {line}" for line in faults(english, target)]
    print(*found, sep="\n", end="\n" * bool(found))
    return bool(found)


def sources() -> list[Path]:
    """All that can be translated."""
    pages = [*sorted((ROOT / "book").glob("*.md")), ROOT / "book" / "solutions" / "index.md"]
    pages += [ROOT / "README.md", *sorted((ROOT / "classroom").glob("*.md"))]
    return [*chapters.paths(), *chapters.exercises(), *pages]


def renew(english: Path, target: Path) -> None:
    """Write the translation with all pieces of the English, in its order."""
    old = kept(target)
    text = UNFINISHED * (not target.exists() or target.read_text().startswith(UNFINISHED))
    for name, source in pieces(english).items():
        of, words = old.get(name, ("missing", ""))
        if "missing" in of:
            of, words = f"{digest(source)}, missing", source
        text += f"<!-- {name}, of: {of} -->\n\n{words}\n\n"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text.rstrip() + "\n", encoding="utf-8")


def faults(english: Path, target: Path) -> Iterator[str]:
    """What a translator has to do, a line for each; see also `differences`."""
    own, unfinished = kept(target), target.read_text().startswith(UNFINISHED)
    for name, source in pieces(english).items():
        of, text = own.get(name, ("missing", ""))
        if "missing" in of:
            if not unfinished:
                yield f"{name}: is missing"
        elif of != digest(source):
            yield f"{name}: is stale, of: {of}. Mend it, then write of: {digest(source)}"
        else:
            yield from (f"{name}: {line}" for line in differences(source, text))
    for name in own.keys() - pieces(english).keys():
        yield f"{name}: its English is gone"


def differences(english: str, other: str) -> Iterator[str]:
    """Where a translation says something else than the English, by all that isn't words."""
    for parts in (code, formulas, links, numbers):
        what, theirs, ours = parts.__name__, Counter(parts(english)), Counter(parts(other))
        for sign, apart in (("lacks", theirs - ours), ("has more", ours - theirs)):
            if apart:
                yield f"{sign} {what}: {', '.join(map(repr, apart.elements()))}"
    if stars(other) > stars(english):
        yield "a * or ** marks nothing: put a blank, or a letter for punctuation, on its other side"
    for line in re.findall(rf"^[^|\n]*[{CJK}]\n[{CJK}].*$", FENCE.sub("", other), re.MULTILINE):
        yield f"a line ends inside of a paragraph, which a browser shows as a blank: {line!r}"


def code(text: str) -> list[str]:
    """What stands in backticks, or in blocks of code apart from comments and captions."""
    text = re.sub(r" LANGUAGE=\w+", "", text)  # what a reader of the translation types
    said = re.compile(r"(^:caption:| *#).*", re.MULTILINE)
    blocks = [said.sub("", found[2]).strip() for found in FENCE.finditer(text)]
    marks = re.findall(r"^### (?:BEGIN|END) .*", text, re.MULTILINE)  # of nbgrader
    return [*blocks, *marks, *re.findall(r"`+[^`]+`+", FENCE.sub("", text))]


def formulas(text: str) -> list[str]:
    """All formulas, but for the words in them and for where their lines end."""
    found = FORMULA.findall(re.sub(r"`[^`]+`", "", FENCE.sub("", text)))
    return [re.sub(r"\s+", " ", WORDS.sub("", formula)) for formula in found]


def links(text: str) -> list[str]:
    """Where links lead; that of each README to the other counts as one, and so do the posters."""
    text = re.sub(r"README\.[\w-]+\.md", "README.md", text)
    text = re.sub(r"book/\w+/poster", "book/poster", text)
    return re.findall(r'(?<=\]\()[^)\s]+|(?<=<)https?:[^>]+|(?<=href=")[^"]+|(?<=src=")[^"]+', text)


def numbers(text: str) -> list[str]:
    """All numbers outside of formulas, code and addresses, as they are written."""
    bare = FORMULA.sub(" ", re.sub(r"`[^`]+`", " ", FENCE.sub(" ", text)))
    bare = re.sub(r"\]\([^)\s]+\)|<[^>]+>", " ", bare)
    bare = MONTH.sub(lambda found: str(MONTHS.index(found[0])), bare)
    return re.findall(r"\d+(?:[.,]\d+)*", bare)


def stars(text: str) -> int:
    """How many stars a reader would see: marks of emphasis that don't open or close any."""
    text = FORMULA.sub("$0$", re.sub(r"`[^`]+`", "`0`", FENCE.sub("", text)))
    inline = (part for token in MarkdownIt().parse(text) for part in token.children or ())
    return sum(part.content.count("*") for part in inline if part.type == "text")


if __name__ == "__main__":
    sys.exit(main())
