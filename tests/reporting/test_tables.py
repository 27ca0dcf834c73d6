"""One table, four renderers."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from planner.amounts import millions
from planner.reporting.tables import Table, Toned, figures, texts

TABLE = Table(
    "Cost & more",
    (*texts("asset", code=True), *figures("M USD", show=millions), *figures("units")),
    [("east|gpus", 4_500.0, 1200), ("<west>", None, Toned("NO", "bad"))],
    note="What @it means.",
    foot=[("all", 12e6, 1200)],
)


def printed(table: Table, width: int) -> list[str]:
    stream = io.StringIO()
    table.print(Console(file=stream, width=width))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_terminal_table_has_title_rows_sums_and_note() -> None:
    assert printed(TABLE, 80) == [
        "",
        "Cost & more",
        "asset       M USD  units",
        "────────────────────────",
        "east|gpus  0.0045  1,200",
        "<west>                NO",
        "",
        "all         12.00  1,200",
        "What @it means.",
    ]


@pytest.mark.parametrize("width", [30, 40, 60])
def test_texts_fold_at_hyphens_and_figures_never(width: int) -> None:
    name = "region-west-and-unit-west-chillers-and-heat-wave"
    table = Table("", texts("scenario", "class") + figures("lost"), [(name, "double", 123456)])
    lines = printed(table, width)
    assert all(len(line) <= width for line in lines)
    assert "123,456" in "\n".join(lines)
    folded = [line.split(" ")[0] for line in lines[3:] if line]
    assert "".join(folded) == name
    assert all(part.endswith("-") for part in folded[:-1])


def test_a_table_without_rows_prints_nothing() -> None:
    assert printed(Table("Empty", texts("a"), [], note="note"), 80) == []


def test_markdown_escapes_what_it_would_take_for_its_own() -> None:
    assert TABLE.markdown().splitlines() == [
        "| asset | M USD | units |",
        "| :-- | --: | --: |",
        "| `east\\|gpus` | 0.0045 | 1,200 |",
        "| `<west>` |  | NO |",
        "| `all` | 12.00 | 1,200 |",
    ]


def test_html_escapes_and_marks_figures_and_tones() -> None:
    shown = TABLE.html()
    assert "<figcaption>Cost &amp; more</figcaption>" in shown
    assert '<th scope="row">&lt;west&gt;</th><td class="n"></td><td class="n bad">NO</td>' in shown
    assert "<tfoot><tr>" in shown and "What @it means." in shown


def test_csv_has_numbers_in_full_and_no_formulas() -> None:
    table = Table("", texts("name") + figures("usd", show=millions), [("=1+1", 4_500.25)])
    assert table.csv() == "name,usd\n'=1+1,4500.25\n"


def test_of_many_rows_the_first_are_shown_and_the_rest_counted() -> None:
    table = Table("", texts("name") + figures("n"), [(f"{n}", n) for n in range(30)]).first(2)
    assert table.texts() == [["0", "0"], ["1", "1"], ["and 28 more", ""]]
