"""The site builds without a warning, needs nothing from elsewhere, and shows the files that it promises."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import lifelong
import lifelong.check

pytest.importorskip("material", reason="the extra docs is not installed")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(out)]
    done = subprocess.run(
        command, cwd=ROOT, env={"NO_MKDOCS_2_WARNING": "1", "PATH": ""}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return out


class Loaded(HTMLParser):
    """What a browser fetches by itself: images, scripts, style sheets; `links` are what a reader may follow."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.fetched.append(given.get("href") or "")
        elif tag in ("img", "script", "iframe", "source", "object") and (given.get("src") or given.get("data")):
            self.fetched.append(given.get("src") or given.get("data") or "")
        elif tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Loaded]:
    """All but the page for what is not found, whose links are from the root."""
    found = {page: Loaded() for page in site.rglob("*.html") if page.name != "404.html"}
    for page, loaded in found.items():
        loaded.feed(page.read_text(encoding="utf-8"))
    return found


def test_nothing_is_fetched_from_elsewhere(site: Path, pages: dict[Path, Loaded]) -> None:
    for page, loaded in pages.items():
        for target in loaded.fetched:
            assert not re.match(r"(\w+:)?//", target), f"{page.name} fetches {target}"
            assert (page.parent / target.split("?")[0]).exists(), f"{page}: {target}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", sheet.read_text(encoding="utf-8"))


def test_links_between_pages_lead_to_pages(pages: dict[Path, Loaded]) -> None:
    for page, loaded in pages.items():
        inner = {path for target in loaded.links if (path := target.split("#")[0]) and not re.match(r"\w+:", path)}
        assert [path for path in sorted(inner) if not (page.parent / path).exists()] == [], page


def test_results_are_the_file_itself(site: Path) -> None:
    headings = re.findall(
        r"^## (.+)$", (ROOT / "benchmarks/RESULTS.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    page = re.sub(r"<[^>]+>|[`*]", "", (site / "results.html").read_text(encoding="utf-8"))
    assert headings
    assert [h for h in headings if re.sub(r"[`*]", "", h) not in page.replace("&gt;", ">").replace("&amp;", "&")] == []


def test_components_and_sources_are_there(site: Path) -> None:
    components = (site / "components.html").read_text(encoding="utf-8")
    for name in ("bocpd", "kolmogorov_smirnov", "bernoulli", "lenet", "continual_world", "temporal_difference"):
        assert name in components
    # Pages of source show the file, and do not fill the search.
    source = re.sub(r"<[^>]+>", "", (site / "source/lifelong/stream.py.html").read_text(encoding="utf-8"))
    assert "class Segment:" in source
    assert "class Segment:" not in (site / "search/search_index.json").read_text(encoding="utf-8")


def test_the_front_of_the_package_is_in_the_reference(site: Path) -> None:
    named = set(re.findall(r"<code>(\w+)</code></a>", (site / "reference.html").read_text(encoding="utf-8")))
    assert set(lifelong.__all__) | set(lifelong.check.__all__) <= named


def test_pictures_are_those_that_the_script_draws() -> None:
    drawn = runpy.run_path(str(ROOT / "docs/draw_concepts.py"))["DRAWN"]
    kept = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs/pictures").glob("*.svg")}
    assert kept == {name: draw() for name, draw in drawn.items()}
