"""The documentation as a site: it builds without a warning, opens from disk, and has every module."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from doc_pages import README, ROOT

from encoders.installation import PACKAGES

# What a browser loads by itself; links to other sites are only followed by whoever clicks them.
LOADED = re.compile(r"""<(?:script|img|iframe|source|video)\b[^>]*\bsrc=["'](?:https?:)?//[^"']*|<link\b[^>]*>""")
HERE = re.compile(r"""href=["'](?!(?:https?:)?//)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        loaded = [found for found in LOADED.findall(page.read_text()) if not HERE.search(found)]
        assert [found for found in loaded if "canonical" not in found] == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", sheet.read_text()), sheet


def test_the_search_works_from_disk(site: Path) -> None:
    # A browser fetches no file from disk; a script it does load.
    assert "imitation" in (site / "search/search_index.js").read_text()
    assert 'src="javascripts/iframe-worker.js"' in (site / "index.html").read_text()


def test_formulas_are_drawn_without_a_script(site: Path) -> None:
    page = (site / "methods/huber-reward.html").read_text()
    assert page.count("<math") > 5
    for page in (site / "methods").glob("*.html"):
        assert not re.search(r'class="arithmatex">\\[(\[]', page.read_text()), page


def test_the_reference_has_every_module(site: Path) -> None:
    # Sphinx's inventory: four lines of comments, then a compressed line an object.
    packed = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    named = {line.split()[0] for line in zlib.decompress(packed).decode().splitlines()}
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    assert modules <= named, sorted(modules - named)
    assert {"encoders.base.Encoder.embed", "rewards.huber.huber_reward"} <= named


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = README.read_bytes()
    assert len(text) <= 10_000
    links = re.findall(r"\]\((?!https?://)([^)#]+)", text.decode())
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []
