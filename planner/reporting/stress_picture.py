"""Which failure with which: a matrix of pairs, coloured by what comes of them."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import combinations, groupby

from planner.analysis.stress.search import SetOutcome, Stress

#: What a cell says, from the worst to the mildest, as classes of the picture.
WORDS = {
    "fails": "fails",
    "more": "fails with one more, or several",
    "open": "not settled",
    "unasked": "nothing asked, or nothing hit",
    "survives": "survives",
    "apart": "one includes the other",
}
#: Cells at least and at most, and the failures from which on they are small, pixels.
LARGE, SMALL, MANY = 16, 9, 60
#: Width of a letter over the size of the type, at most.
LETTER = 0.62
_LIGHT = "--f:#b3261e;--m:#e8a13a;--o:#8a95a3;--u:#d5dae0;--s:#cfe8da;--a:#f0f2f4;--t:#1c2430;"
_DARK = "--f:#ff8a80;--m:#b77a1f;--o:#6b7787;--u:#3a434d;--s:#1d4a37;--a:#1c2127;--t:#e8edf3;"
_STYLE = f"""
.stress{{{_LIGHT}font-family:Helvetica,Arial,sans-serif}}
@media screen and (prefers-color-scheme:dark){{.stress{{{_DARK}}}}}
.stress text{{fill:var(--t)}}
.stress .fails{{fill:var(--f)}}.stress .more{{fill:var(--m)}}.stress .open{{fill:var(--o)}}
.stress .unasked{{fill:var(--u)}}.stress .survives{{fill:var(--s)}}.stress .apart{{fill:var(--a)}}
"""


def matrix_svg(found: Stress, alone: bool = False) -> str:
    """The matrix as SVG: a row and a column for each failure, itself alone on the diagonal.

    Parameters
    ----------
    alone
        Whether it is a file of its own, with a ground.
    """
    names, states = found.failures, _states(found)
    count = len(names)
    cell = SMALL if count > MANY else LARGE
    size = min(12, cell - 1)
    gutter = round(max(map(len, names)) * size * LETTER) + 8
    top = 22 * len(WORDS) + 12
    wide, high = max(2 * gutter + cell * count, 300), top + cell * count + 4
    parts = [
        f'<svg class="stress" xmlns="http://www.w3.org/2000/svg" width="{wide}" '
        f'height="{high}" viewBox="0 0 {wide} {high}" font-size="{size}" role="img" '
        f'aria-label="Which failure with which: {_summary(found)}">',
        f"<style>{_STYLE}</style>",
    ]
    if alone:
        parts.append(
            "<style>.ground{fill:#fff}@media screen and (prefers-color-scheme:dark)"
            '{.ground{fill:#12161c}}</style><rect class="ground" width="100%" height="100%"/>'
        )
    for line, (state, words) in enumerate(WORDS.items()):
        parts.append(f'<rect class="{state}" x="4" y="{4 + 22 * line}" width="14" height="14"/>')
        parts.append(f'<text x="26" y="{16 + 22 * line}" font-size="13">{words}</text>')
    for row, name in enumerate(names):
        y = top + cell * row
        base, after = f"{y + 0.8 * cell:.1f}", gutter + cell * (row + 1) + 4
        parts.append(f'<text x="{gutter - 6}" y="{base}" text-anchor="end">{escape(name)}</text>')
        parts += _row(names, states, row, (gutter, y, cell))
        parts.append(f'<text x="{after}" y="{base}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _summary(found: Stress) -> str:
    failing = sum(outcome.fails for outcome in found.outcomes)
    return f"{failing:,} of {len(found.outcomes):,} sets fail"


def _row(
    names: tuple[str, ...],
    states: dict[tuple[int, int], str],
    row: int,
    place: tuple[int, int, int],
) -> Iterator[str]:
    """Cells of a row; those that fail say who they are, others are drawn as bars."""
    left, y, cell = place
    columns = range(row + 1)
    for state, run in groupby(columns, key=lambda column: states.get((column, row), "apart")):
        places = list(run)
        if state in ("fails", "more"):
            for column in places:
                pair = names[row] if column == row else f"{names[column]} + {names[row]}"
                yield (
                    f'<rect class="{state}" x="{left + cell * column}" y="{y}" width="{cell - 1}" '
                    f'height="{cell - 1}"><title>{escape(pair)}: {WORDS[state]}</title></rect>'
                )
        else:
            yield (
                f'<rect class="{state}" x="{left + cell * places[0]}" y="{y}" '
                f'width="{cell * len(places) - 1}" height="{cell - 1}"/>'
            )


def _states(found: Stress) -> dict[tuple[int, int], str]:
    """State of each failure alone and of each pair, by their places."""
    place = {name: number for number, name in enumerate(found.failures)}
    states: dict[tuple[int, int], str] = {}
    if any(summary.size == 2 and summary.unsettled for summary in found.sizes):
        states = dict.fromkeys(combinations(range(len(place)), 2), "open")
    small = [one for one in found.outcomes if len(set(one.failures)) <= 2]
    for one in small:
        members = sorted({place[name] for name in one.failures})
        key = members[0], members[-1]
        # A failure twice, as of two units of a plant, is on the diagonal with that of one.
        if key not in states or states[key] == "open" or one.fails:
            states[key] = _state(one)
    for one in found.outcomes:
        if one.fails and len(one.failures) > 2:
            for key in combinations(sorted({place[name] for name in one.failures}), 2):
                if states.get(key) not in (None, "fails"):
                    states[key] = "more"
    return states


def _state(one: SetOutcome) -> str:
    return one.status if one.status in ("fails", "survives") else "unasked"
