"""What the site adds to the pages of docs/: tables from the entry points, whole files, and pages of source.

`<!-- components: GROUP -->` becomes a table of the entry points of `lifelong.GROUP`, each with the first line of its
docstring; `<!-- names: PACKAGE -->` one of what a package's `__init__.py` offers; `<!-- file: PATH -->` becomes that
file. A link that leads out of docs/ to a file or folder of the project leads to a page that shows it, so that the site
is whole without a host for the source. MkDocs calls the two `on_`.
"""

from __future__ import annotations

import ast
import logging
import posixpath
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"lifelong": ".", "lifelong_envs": "envs", "lifelong_agents": "agents"}
PAGES_OF = {"benchmarks/RESULTS.md": "results.md"}
"""Files of the project that are pages of the site already."""
LANGUAGES = {".py": "python", ".yaml": "yaml", ".toml": "toml", ".json": "json", ".md": "markdown", ".css": "css"}
LINK = re.compile(r"\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")
COMPONENTS = re.compile(r"<!-- components: (\w+) -->")
NAMES = re.compile(r"<!-- names: ([\w.]+) -->")
FILE = re.compile(r"<!-- file: (\S+) -->")

# Under MkDocs' own name, so that a warning fails a strict build.
log = logging.getLogger("mkdocs.hooks.lifelong")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for everything in the project that a page links to, and for what those folders hold."""
    wanted: dict[str, None] = {}
    for page in files.documentation_pages():
        here = posixpath.dirname(f"docs/{page.src_uri}")
        for path, _ in _outward(_filled(page.content_string), here):
            if (ROOT / path).exists():
                wanted |= dict.fromkeys(_with_content(path))
            else:
                log.warning(f"{page.src_uri} links to {path}, which is no file of the project.")
    for path in wanted:
        files.append(File.generated(config, _page_of(path), content=_shown(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with its tables and files filled in, and with links that stay inside the site."""
    here = posixpath.dirname(f"docs/{page.file.src_uri}")
    home = posixpath.dirname(page.file.src_uri)

    def inward(path: str, anchor: str) -> str:
        return posixpath.relpath(PAGES_OF.get(path, _page_of(path)), home or ".") + anchor

    return _relinked(_filled(markdown), here, inward)


def component_table(group: str) -> str:
    """A Markdown table, as seen from docs/, of a group's components: name, and what the docstring says first."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        entries = tomllib.load(file)["project"]["entry-points"][f"lifelong.{group}"]
    return _table({name: target.split(":") for name, target in entries.items()})


def name_table(package: str) -> str:
    """The same of the names that a package's `__init__.py` imports from elsewhere in the project."""
    imports = [node for node in ast.walk(_parsed(_file_of(package))) if isinstance(node, ast.ImportFrom)]
    ours = [node for node in imports if node.module and node.module.split(".")[0] in PACKAGES]
    return _table({alias.name: (node.module or "", alias.name) for node in ours for alias in node.names})


def _table(targets: Mapping[str, Sequence[str]]) -> str:
    """Rows of name, as a link to its file, and first line, by name; targets: module and attribute."""
    rows = []
    for name, (module, attribute) in sorted(targets.items()):
        path, said = _first_line(module, attribute)
        said = said.replace("|", r"\|")
        rows.append(f"| [`{name}`](../{path}) | {said} |")
    return "\n".join(["| name | |", "|---|---|", *rows])


def _file_of(module: str) -> str:
    """The path of a module in the project."""
    base = posixpath.normpath(posixpath.join(PACKAGES[module.split(".")[0]], module.replace(".", "/")))
    return f"{base}.py" if (ROOT / f"{base}.py").exists() else f"{base}/__init__.py"


@cache
def _parsed(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def _first_line(module: str, attribute: str) -> tuple[str, str]:
    """Where a class or function stands, and the first line of its docstring; nothing is imported."""
    path = _file_of(module)
    for node in _parsed(path).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == attribute:
            return path, (ast.get_docstring(node) or "").split("\n")[0]
        if isinstance(node, ast.ImportFrom) and node.module and attribute in {alias.name for alias in node.names}:
            return _first_line(node.module, attribute)
    raise ValueError(f"{module}:{attribute} is promised, and {path} has no class or function of that name.")


def _filled(markdown: str) -> str:
    """Tables and whole files in the places of their comments; only pages directly in docs/ have such."""

    def whole(found: re.Match[str]) -> str:
        path = found[1]
        text = (ROOT / path).read_text(encoding="utf-8")
        return _relinked(text, posixpath.dirname(path), lambda target, anchor: f"../{target}{anchor}")

    markdown = COMPONENTS.sub(lambda found: component_table(found[1]), markdown)
    return FILE.sub(whole, NAMES.sub(lambda found: name_table(found[1]), markdown))


def _relinked(markdown: str, here: str, new: Callable[[str, str], str]) -> str:
    """Give links that lead from the folder `here` out of docs/ another target: `new(path in the project, anchor)`."""

    def relink(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(here, found[1]))
        return f"]({new(path, found[2] or '')})" if _is_outside(path) else found[0]

    return LINK.sub(relink, markdown)


def _outward(markdown: str, here: str) -> Iterator[tuple[str, str]]:
    """The links of a page that lead out of docs/: path in the project, and anchor."""
    for target, anchor in LINK.findall(markdown):
        path = posixpath.normpath(posixpath.join(here, target))
        if _is_outside(path):
            yield path, anchor


def _is_outside(path: str) -> bool:
    return path != "docs" and not path.startswith(("docs/", "../"))


def _with_content(path: str) -> list[str]:
    """The path, and all that a folder holds; those that are pages of the site already are left out."""
    if not (ROOT / path).is_dir():
        return [] if path in PAGES_OF else [path]
    return [path, *(inner for child in _inside(path) for inner in _with_content(child))]


def _inside(folder: str) -> list[str]:
    """Files of text and folders in a folder, in order, without what is hidden or generated."""
    children = sorted((ROOT / folder).iterdir())
    shown = [c for c in children if c.name[0] not in "._" and (c.is_dir() or c.suffix in LANGUAGES)]
    return [f"{folder}/{child.name}" for child in shown]


def _page_of(path: str) -> str:
    return f"source/{path}/index.md" if (ROOT / path).is_dir() else f"source/{path}.md"


def _shown(path: str) -> str:
    """The Markdown of a page that shows a file, or lists a folder. The search does not look at it."""
    head = f'---\ntitle: "{path}"\nsearch: {{exclude: true}}\n---\n\n# {path}\n\n'
    if (ROOT / path).is_dir():
        here = posixpath.dirname(_page_of(path))
        rows = [f"- [{posixpath.basename(c)}]({posixpath.relpath(_page_of(c), here)})" for c in _inside(path)]
        return head + "\n".join(rows) + "\n"
    text = (ROOT / path).read_text(encoding="utf-8")
    fence = "`" * 8
    return f"{head}{fence}{LANGUAGES.get(Path(path).suffix, 'text')}\n{text.rstrip()}\n{fence}\n"
