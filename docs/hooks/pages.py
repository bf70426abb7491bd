"""MkDocs hook: pages from outside docs/, their links, and checks that strict mode lacks.

The README is the home page, so that there is one text for GitHub and the site. A link to a file of
the repository that is no page of the site, such as a module, becomes plain text.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

log = logging.getLogger("mkdocs.hooks.pages")  # MkDocs counts its warnings in strict mode

REPOSITORY = Path(__file__).resolve().parents[2]
_PAGES = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
_SITE_PATHS = {
    "README.md": "index.md",
    **{
        path: f"project/{path}"
        for path in (
            *_PAGES,
            *(
                file.relative_to(REPOSITORY).as_posix()
                for file in sorted((REPOSITORY / "reports").glob("*.*"))
                if file.suffix in (".md", ".png")
            ),
        )
    },
}
"""Files outside docs/ that the site has, by their path in the repository."""
_SOURCES = {site: source for source, site in _SITE_PATHS.items()}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_RESOURCE = re.compile(
    r"""<(?:script|img|iframe|source)[^>]+src="(?:https?:)?//[^"]+"""
    r"""|<link[^>]+rel="(?:stylesheet|preconnect|icon)"[^>]+href="(?:https?:)?//[^"]+"""
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and images from outside docs/."""
    for source, site in _SITE_PATHS.items():
        files.append(File.generated(config, site, abs_src_path=str(REPOSITORY / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links between repository paths as links between pages; check documented names."""
    for name in re.findall(r"^::: ([\w.]+)", markdown, re.MULTILINE):
        _check_docstrings(name)
    parts = re.split(r"(^```.*?^```)", markdown, flags=re.MULTILINE | re.DOTALL)
    parts[::2] = [_rewrite_links(part, page.file.src_uri) for part in parts[::2]]
    return "".join(parts)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Warn of scripts, styles and images that a browser would load from another server."""
    for found in _RESOURCE.findall(output):
        log.warning("%s loads from another server: %s", page.file.src_uri, found)
    return output


def _rewrite_links(text: str, page: str) -> str:
    folder = posixpath.dirname(_SOURCES.get(page, f"docs/{page}"))

    def rewrite(match: re.Match[str]) -> str:
        image, label, target, anchor = match.groups()
        if ":" in target:
            return match[0]
        path = posixpath.normpath(posixpath.join(folder, target))
        if path.startswith("docs/"):
            site = path.removeprefix("docs/")
        elif path in _SITE_PATHS:
            site = _SITE_PATHS[path]
        elif (REPOSITORY / path).exists():
            return label
        else:
            return match[0]
        relative = posixpath.relpath(site, posixpath.dirname(page) or ".")
        return f"{image}[{label}]({relative}{anchor or ''})"

    return _LINK.sub(rewrite, text)


def _check_docstrings(name: str) -> None:
    """Warn of a documented object, or a public member of it, that has no docstring."""
    found = griffe.load(name, search_paths=[str(REPOSITORY)], resolve_aliases=True)
    _check_object(found.final_target if isinstance(found, griffe.Alias) else found)


def _check_object(found: griffe.Object | griffe.Alias) -> None:
    is_field = found.is_attribute and "property" not in found.labels
    if not found.has_docstring and not is_field:  # the class docstring lists the fields
        log.warning("%s has no docstring", found.path)
    if found.is_class or found.is_module:
        for member in found.members.values():
            if not member.name.startswith("_") and not member.is_alias:
                _check_object(member)
