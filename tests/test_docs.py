"""The site: it is built without a warning, every public name and link is there, and the code on its pages runs."""

from __future__ import annotations

import ast
import html.parser
import inspect
import re
import shlex
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
from tests.printed import assert_same

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


class _Page(html.parser.HTMLParser):
    """The links, the places and the sources of scripts, styles and pictures of one page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loaded, self.places = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.places |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag in ("script", "img", "link") and (given.get("src") or given.get("href")):
            self.loaded.append(given.get("src") or given["href"])


@pytest.mark.xdist_group("site")
def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(site):
    pages = {path.resolve(): _Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    broken = []
    for path, page in pages.items():
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.loaded:
                    broken.append((path.name, link))
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists() or (parts.fragment and target in pages and parts.fragment not in pages[target].places):
                broken.append((path.name, link))
    assert not broken


@pytest.mark.xdist_group("site")
def test_everything_there_is_has_a_page(site):
    wanted = {f"laws/{name}" for name in LAWS if name not in LAWS.own} | {f"models/{name}" for name in shipped_models()}
    wanted |= {f"questions/{name}" for name, kind in QUESTIONS.items() if kind.__module__.startswith("bayes_scaling.")}
    wanted |= {f"commands/{verb}" for verb in commands.verbs()}
    wanted |= {interface.page_of(room, name) for room, public in interface.names().items() for name in public}
    assert not [page for page in wanted if not (site / f"{page}.html").is_file()]
    gallery = (site / "figures.html").read_text(encoding="utf-8")
    assert not [name for name in bs.plots.__all__ if f'href="reference/bayes_scaling.plots.{name}.html"' not in gallery]
    assert gallery.count('class="drawn"') + gallery.count("It is a widget") == len(bs.plots.__all__)


@pytest.mark.parametrize(("room", "name"), [(room, name) for room, public in interface.names().items() for name in public])
def test_every_public_name_has_an_example(room, name):
    thing = getattr(interface.room_of(room), name)
    is_of_a_kind = room == "bayes_scaling.readers" and name.startswith("read_")  # one function made for every kind
    if not inspect.ismodule(thing) and callable(thing) and not is_of_a_kind:
        assert ">>> " in (inspect.getdoc(thing) or "")


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A folder with a fit and its runs, as the pages have them."""
    fit = example_fit()
    fit.save(tmp_path / "fit.nc")
    fit.table[["params", "tokens", "loss"]].to_csv(tmp_path / "runs.csv", index=False)
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


def test_the_start_is_what_the_package_prints(tmp_path, monkeypatch, command):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    page = DOCS / "start.md"
    fit, predict = (shlex.split(line.removeprefix("$ bayes-scaling ")) for line in _blocks(page, "console")[1:3])
    assert command(*fit).out.startswith(_blocks(page, "text")[0].strip())
    assert_same(command(*predict).out, _blocks(page, "text")[1])
