"""The site: it is built without a warning, every public name and link is there, and the code on its pages runs."""

from __future__ import annotations

import ast
import html
import inspect
import posixpath
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import bayes_scaling as bs
from bayes_scaling.laws import LAWS
from bayes_scaling.model.document import shipped_models
from bayes_scaling.posterior.examples import example_fit
from bayes_scaling.questions.base import QUESTIONS
from docs.made import commands, interface
from tests.command import command  # noqa: F401 - a fixture

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)
SAMPLES = ("bs.fit(", "bs.fit_many(", "bs.backtest(", "bs.certify(", "bs.weigh(")
"""A block with one of these is checked by its names and arguments alone: what samples is run elsewhere."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built once."""
    out = tmp_path_factory.mktemp("site")
    made = subprocess.run([sys.executable, "-m", "docs.build", str(out)], cwd=DOCS.parent, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return out / "html"


TAG = re.compile(r"<(a|script|img|link)\s([^>]*)>")
ATTRIBUTE = re.compile(r'\b(href|src)="([^"]*)"')
PLACE = re.compile(r'\s(?:id|name)="([^"]*)"')


class _Page:
    """The links, the places and the sources of scripts, styles and pictures of one page; text has no quotes, they are escaped."""

    def __init__(self, path):
        text = path.read_text(encoding="utf-8")
        self.links, self.loaded, self.places = [], [], {html.unescape(place) for place in PLACE.findall(text)}
        for tag, attributes in TAG.findall(text):
            of_tag = self.links if tag == "a" else self.loaded
            of_tag.extend(html.unescape(target) for _, target in ATTRIBUTE.findall(attributes) if target)


@pytest.mark.xdist_group("site")
def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(site):
    files = {path.relative_to(site).as_posix(): path for path in site.rglob("*")}
    pages = {name: _Page(path) for name, path in files.items() if name.endswith(".html") and not name.startswith("_static/")}
    broken = []
    for name, page in pages.items():
        for link in {*page.links, *page.loaded}:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.loaded:
                    broken.append((name, link))
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path))) if parts.path else name
            if target not in files or (parts.fragment and target in pages and parts.fragment not in pages[target].places):
                broken.append((name, link))
    assert len(pages) > 290
    assert not broken


@pytest.mark.xdist_group("site")
def test_everything_there_is_has_a_page(site):
    wanted = {f"laws/{name}" for name in LAWS if name not in LAWS.own} | {f"models/{name}" for name in shipped_models()}
    wanted |= {f"questions/{name}" for name, kind in QUESTIONS.items() if kind.__module__.startswith("bayes_scaling.")}
    wanted |= {"errors"}
    wanted |= {f"commands/{verb}" for verb in commands.verbs()}
    wanted |= {interface.page_of(room, name) for room, public in interface.names().items() for name in public}
    assert not [page for page in wanted if not (site / f"{page}.html").is_file()]
    gallery = (site / "figures.html").read_text(encoding="utf-8")
    assert not [name for name in bs.plots.__all__ if f'href="reference/bayes_scaling.plots.{name}.html"' not in gallery]
    assert gallery.count('class="drawn"') + gallery.count("It is a widget") == len(bs.plots.__all__)


@pytest.mark.parametrize(("room", "name"), [(room, name) for room, public in interface.names().items() for name in public])
def test_every_public_name_has_an_example(room, name):
    thing = getattr(interface.room_of(room), name)
    if not inspect.ismodule(thing) and callable(thing):
        assert ">>> " in (inspect.getdoc(thing) or "")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A fit and its runs, stored once."""
    folder, fit = tmp_path_factory.mktemp("kept"), example_fit()
    fit.save(folder / "fit.nc")
    fit.table[["params", "tokens", "loss"]].to_csv(folder / "runs.csv", index=False)
    return folder


@pytest.fixture
def stored(kept, tmp_path, monkeypatch):
    """A folder with a fit and its runs, as the pages have them."""
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for law in [name for name in LAWS if name in LAWS.own]:
        del LAWS[law]


def _blocks(path, kind):
    return [text for name, text in BLOCK.findall(path.read_text(encoding="utf-8")) if name == kind]


def _refer(tree):
    """Hold calls of names of the package to their signatures."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        parts = ast.unparse(call.func).split(".")
        if parts[0] != "bs":
            continue
        function = bs
        for part in parts[1:]:
            function = getattr(function, part)
        named = {keyword.arg: None for keyword in call.keywords if keyword.arg}
        inspect.signature(function).bind(*call.args, **named)


@pytest.mark.filterwarnings("ignore::bayes_scaling.BayesScalingWarning")
@pytest.mark.parametrize("path", [p for p in PAGES if _blocks(p, "python")], ids=lambda p: p.stem)
def test_python_on_a_page_runs(path, stored, capsys):
    names = {"__name__": "__main__"}
    for text in _blocks(path, "python"):
        if any(call in text for call in SAMPLES):
            _refer(ast.parse(text))
        else:
            exec(compile(text, path.name, "exec"), names)


@pytest.mark.parametrize("path", [p for p in PAGES if _blocks(p, "console") and p.stem != "start"], ids=lambda p: p.stem)
def test_commands_on_a_page_are_right(path, stored, command):  # noqa: F811
    verbs = commands.verbs()
    for line in "".join(_blocks(path, "console")).splitlines():
        program, *words = shlex.split(line.removeprefix("$ "))
        assert program in ("bayes-scaling", "pip")
        if program == "pip":
            continue
        options = {flag for parameter in verbs[words[0]].params for flag in (*parameter.opts, *parameter.secondary_opts)}
        assert not [word for word in words if word.startswith("--") and word not in options]
        if "fit.nc" in words[1:2] and words[0] in QUESTIONS and "--baseline" not in words:
            answer = command(*words, *(["--override"] if QUESTIONS[words[0]].guarded else []))
            assert answer.code == 0, answer.err
