"""Pages of the site that stand outside docs/; links to them and from them lead where they lead in the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[1]
OUTSIDE = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "conformance/README.md": "conformance-cases.md",
}
"""Files of the repository, and the pages that they are."""
NAMED = re.compile(r"^```python (\S+)$", re.MULTILINE)
"""A block of code and the file that it is."""
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    from mkdocs.structure.files import File

    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links to where the site has what the repository has there."""
    pages = {ours: source for source, ours in OUTSIDE.items()}
    here = (ROOT / pages.get(page.file.src_uri, f"docs/{page.file.src_uri}")).parent

    def led(link: re.Match[str]) -> str:
        there = (here / link[1]).resolve()
        if not there.exists() or not there.is_relative_to(ROOT):
            return link[0]  # strict mode complains
        name = there.relative_to(ROOT).as_posix()
        return f"]({OUTSIDE.get(name, name.removeprefix('docs/'))}{link[2] or ''})"

    return LINK.sub(led, NAMED.sub(r'```python title="\1"', markdown))
