"""The commands that turn searches into pages: report and compare."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.progress import progress
from handsigns.console.sanitize import note, printable
from handsigns.errors import ConfigError

if TYPE_CHECKING:
    from handsigns.results.paths import SearchPaths
    from handsigns.results.store import StoredSearch

_LONGEST_NAME = 100
"""Of a comparison's folder; many searches with long names have only their number there."""


def report(options: Namespace) -> int:
    """A search's report, once or as long as it runs."""
    from handsigns.results.paths import SearchPaths

    paths = SearchPaths.existing(options.results, options.name)
    folder = options.reports / paths.name
    if options.follow:
        return _follow(paths, folder)

    from handsigns.results.store import open_search

    write_page(open_search(paths), options.reports)
    return 0


def write_page(search: StoredSearch, reports: Path) -> None:
    """Write a search's report and tell where it is.

    Raises:
        ResultsError: another page is in its place.
        OSError: the folder cannot be written.
    """
    from handsigns.report.write import write_report

    with progress("writing the report") as told:
        page = write_report(search, reports / search.paths.name, report=told)
    print(f"report: {printable(str(page))} (open it in a browser)")


def compare(options: Namespace) -> int:
    """Several searches side by side."""
    from handsigns.results.paths import SearchPaths

    names = list(dict.fromkeys(options.names))
    if len(names) < 2:
        raise ConfigError("name at least two searches to compare")
    found = [SearchPaths.existing(options.results, name) for name in names]

    from handsigns.report.compare import SUMMARY_COLUMNS, compare, write_comparison
    from handsigns.results.store import open_search

    searches = [open_search(paths) for paths in found]
    comparison = compare(searches)
    _print_table(SUMMARY_COLUMNS, comparison.summary)
    for line in (comparison.verdict, *comparison.tests):
        print(printable(line))
    for warning in comparison.warnings:
        print(f"note: {printable(warning)}")
    page = write_comparison(searches, options.reports / _folder(names))
    print(f"written to {printable(str(page))}; open it in a browser")
    return 0


def _folder(names: list[str]) -> str:
    whole = "-".join(["compare", *names])
    return whole if len(whole) <= _LONGEST_NAME else f"compare-{names[0][:60]}-and-{len(names) - 1}"


def _follow(paths: SearchPaths, folder: Path) -> int:
    from handsigns.report.follow import follow
    from handsigns.results.sync import kept_fresh

    def told(search: StoredSearch, page: Path) -> None:
        ended = sum(record.ended for record in search.journal.records)
        print(f"{printable(str(page))}: {ended} trials ended", flush=True)

    with kept_fresh(paths, note):
        page = follow(paths, folder, told)
    print(f"no process runs {paths.name} any more; the report is complete: {printable(str(page))}")
    return 0


def _print_table(columns: tuple[str, ...], rows: list[list[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from handsigns.cli.show import console

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="left" if column == columns[0] else "right")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console().print(table)
