"""What the documents link to outside of docs/ becomes a page of the site, so that one link serves both places.

A document in docs/ may link to `../CONTRIBUTING.md` or to a folder of files, as is right on a code host. MkDocs knows
docs/ alone. For each file or folder that is linked to, this hook adds a page under `repository/` (Markdown as it is,
anything else as a listing), and turns the links to it. A link that leads nowhere is left alone, for MkDocs to report.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)(?=[)#])")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add a page for everything outside of docs/ that a page links to, or a page added for that reason."""
    texts = [(DOCS / file.src_uri, file.content_string) for file in files.documentation_pages()]
    while texts:
        origin, text = texts.pop()
        for target in _targets(origin, text):
            uri = _uri(target)
            if files.get_file_from_path(uri) is None and target.exists():
                content = _content(target)
                page = File.generated(config, uri, content=content)
                page.edit_uri = None
                files.append(page)
                if target.suffix == ".md":
                    texts.append((target, content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - as called
    """Turn a page's links to what is outside of docs/, and those of a page that was added."""
    here = PurePosixPath(page.file.src_uri)
    inside = here.parts[0] != "repository"
    origin = DOCS / here if inside else ROOT / here.relative_to("repository")

    def turned(link: re.Match[str]) -> str:
        target = _resolved(origin, link[1])
        if inside and target.is_relative_to(DOCS):
            return link[1]
        return os.path.relpath(_uri(target), here.parent).replace(os.sep, "/")

    return _outside_fences(markdown, lambda text: _LINK.sub(turned, text))


def _outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    pieces, end = [], 0
    for fence in _FENCE.finditer(markdown):
        pieces += [change(markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*pieces, change(markdown[end:])])


def _targets(origin: Path, text: str) -> list[Path]:
    found = (_resolved(origin, link[1]) for link in _LINK.finditer(_FENCE.sub("", text)))
    return [one for one in found if one.is_relative_to(ROOT) and not one.is_relative_to(DOCS)]


def _resolved(origin: Path, link: str) -> Path:
    return Path(os.path.normpath(origin.parent / link))


def _uri(target: Path) -> str:
    """Return where a file or folder of the repository is on the site, as a source of MkDocs."""
    if target.is_relative_to(DOCS):
        return target.relative_to(DOCS).as_posix()
    name = f"repository/{Path(os.path.relpath(target, ROOT)).as_posix()}"
    return name if target.suffix == ".md" else f"{name}.md"


def _content(target: Path) -> str:
    if target.suffix == ".md":
        return target.read_text(encoding="utf-8")
    if target.is_file():
        return f"# {target.name}\n\n{_listing(target)}"
    files = sorted(one for one in target.iterdir() if one.is_file())
    return f"# {target.name}\n\n" + "\n".join(f"## {one.name}\n\n{_listing(one)}" for one in files)


def _listing(file: Path) -> str:
    language = {".json": "json", ".py": "python", ".yaml": "yaml"}.get(file.suffix, "text")
    return f"````{language}\n{file.read_text(encoding='utf-8')}````\n"
