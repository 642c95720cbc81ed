"""How Sphinx makes the book; `make book` copies the chapters beside this file first."""

import importlib.util
import re
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.search.en import SearchEnglish

import d2l_bn

project = "d2l_bn"
author = "The d2l_bn authors"
copyright = "2026, the d2l_bn authors, MIT license"
version = release = d2l_bn.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
]
# The chapters are committed executed, and the tests run them: the book shows what is committed.
nb_execution_mode = "off"
nb_render_markdown_format = "gfm"  # with tables, as chapter 7 makes them
nb_ipywidgets_js = {}  # would be loaded from the network
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]

myst_heading_anchors = 3
mathjax_path = "mathjax/tex-chtml.js"

html_theme = "sphinx_book_theme"
html_title = "Batch normalization from scratch"
html_static_path = ["book.css", "book.js"]
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_theme_options = {
    "show_toc_level": 2,
    "use_download_button": True,
    "use_fullscreen_button": False,
    "navbar_persistent": [],
    "footer_content_items": "copyright.html",
    "article_header_end": ["language.html", "article-header-buttons.html"],
}
templates_path = ["templates"]
html_context = {"default_mode": "auto"}  # light or dark, as the reader's machine is set
html_show_sourcelink = False

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say more than the types
napoleon_google_docstring = False
napoleon_use_rtype = False
# What the docstrings name of the two is listed here, so that a build asks nobody on the network.
intersphinx_mapping = {
    "python": ("https://docs.python.org/3", "python.inv"),
    "numpy": ("https://numpy.org/doc/stable", "numpy.inv"),
}
FULL_NAMES = {"Path": "pathlib.Path", "ndarray": "numpy.ndarray"}


def setup(app):
    """Sphinx calls this; formulas need no network once MathJax lies beside the pages."""
    app.connect("build-finished", copy_mathjax)
    app.connect("doctree-read", leave_formulas_out_of_the_search)
    app.add_search_language(SearchChinese)
    app.connect("missing-reference", say_the_full_name, priority=400)  # before intersphinx looks


def leave_formulas_out_of_the_search(app, doctree):
    """Whoever looks for a word doesn't look for LaTeX."""
    for node in doctree.findall(lambda node: isinstance(node, (nodes.math, nodes.math_block))):
        node["classes"].append("no-search")


def say_the_full_name(app, env, node, contnode):
    """Let `ndarray` in a docstring be looked up as NumPy's."""
    node["reftarget"] = FULL_NAMES.get(node["reftarget"], node["reftarget"])


class SearchChinese(SearchEnglish):
    """Finds Chinese by pairs of neighbouring characters, without a dictionary; the rest as English.

    A word of one character is in the index, too. A query has to hold the pairs of all its words.
    """

    lang = "zh"
    js_splitter_code = """
function splitQuery(query) {
  const runs = query.match(/[a-z0-9_]+|[\\u4e00-\\u9fff]+/gi) ?? [];
  return runs.flatMap((run) => /\\w/.test(run) || run.length < 2
    ? [run] : [...run.slice(1)].map((next, i) => run[i] + next));
}
"""

    def split(self, input):
        """Latin words, characters, and pairs of characters."""
        found = re.findall(r"[A-Za-z0-9_]+|[\u4e00-\u9fff]", input)
        return found + re.findall(r"(?=([\u4e00-\u9fff]{2}))", input)


def copy_mathjax(app, error):
    """Copy MathJax from the Python package that carries it, without its other entry points."""
    package = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent
    source, target = package / "static" / "mathjax", Path(app.outdir) / "_static" / "mathjax"
    others = {path.name for path in source.glob("*.js")} - {"tex-chtml.js"}
    ignore = shutil.ignore_patterns(*others, "sre", "mml*", "svg*")
    shutil.copytree(source, target, ignore=ignore, dirs_exist_ok=True)
