"""A hook of mkdocs.yml: a folder in `nav` stands for all of its pages, README first, so a new page needs no entry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Called by mkdocs once the configuration has been read."""
    docs = Path(config.docs_dir)
    config.nav = [{title: _pages(docs, target) for title, target in entry.items()} for entry in config.nav or []]
    return config


def _pages(docs: Path, target: str) -> Any:
    """The page that an entry names, or the pages of the folder that it names."""
    if not target.endswith("/"):
        return target
    pages = sorted((docs / target).glob("*.md"), key=lambda page: (page.name != "README.md", page.name))
    return [page.relative_to(docs).as_posix() for page in pages]
