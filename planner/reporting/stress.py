"""Sets of failures that a plan does not survive: for the terminal, machines and pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

from planner.amounts import counted, listed, minutes, percent, requests
from planner.analysis.stress.certificate import Certificate, CertificateCheck
from planner.analysis.stress.failure_sets import judged_as
from planner.analysis.stress.search import SetOutcome, Stress
from planner.files import write_file
from planner.infrastructure.entities import Model
from planner.infrastructure.loading import LoadedModel
from planner.reporting.html.templates import asset, filled
from planner.reporting.tables import Cell, Table, Tone, Toned, figures, texts
from planner.reporting.terminal import bullets, heading, new_console, print_json, say
from planner.scenarios.components import joint_severity

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


#: Most failing sets that are named, on a terminal and on a page.
MOST_TOLD, MOST_LISTED = 10, 200
#: Kinds of files that a picture may be.
KINDS = (".html", ".svg")
HOURS = {
    "peak": "at the hour of peak demand",
    "worst": "at the hours that matter",
    "all": "at all hours of the week",
}
#: Nothing is fetched, and nothing runs.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def write_output(found: Stress, loaded: LoadedModel, path: Path) -> None:
    """Write the picture of which failures fail together, or a page with it."""
    page = path.suffix.lower() == ".html"
    text = _page(found, loaded) if page else matrix_svg(found, alone=True)
    write_file(text.encode(), path)


def show_stress(
    found: Stress, loaded: LoadedModel, as_json: bool, notes: tuple[str, ...] = ()
) -> None:
    """Print how sets were settled, the smallest that fail, and the worst."""
    if as_json:
        print_json(stress_data(found, loaded) | {"notes": notes})
        return
    console = new_console()
    say(console, _title(found, loaded), style="bold")
    _sizes(found).print(console)
    for line in class_lines(loaded.model, found.size):
        say(console, line, style="dim italic")
    if found.minimal:
        heading(console, "What breaks it: sets that fail though none of their parts does")
        bullets(console, map(_told, found.minimal), MOST_TOLD)
    worst = found.worst(found.size)
    if worst is not None and worst.lost_requests:
        heading(console, _worst_title(found))
        say(console, _told(worst), lead="  ")
    console.print()
    colour = "green" if found.survives and found.complete else "bold red"
    say(console, verdict_line(found), style=colour)


def _title(found: Stress, loaded: LoadedModel) -> str:
    count = counted(len(found.failures), "failure")
    return f"{loaded.name}: {count}, up to {found.size} at once, {HOURS[found.hours]}"


def _sizes(found: Stress) -> Table:
    note = (
        "by proof: the simulation would be given the same numbers as for a set that was "
        "simulated; no effect: nothing that exists is hit."
    )
    columns: dict[str, list[Cell]] = {
        "at once": [summary.size for summary in found.sizes],
        "sets": [summary.sets for summary in found.sizes],
        "by proof": [summary.by_proof for summary in found.sizes],
        "simulated": [summary.simulated for summary in found.sizes],
        "fail": [_toned(summary.failing, "bad") for summary in found.sizes],
    }
    rare: dict[str, list[Cell]] = {
        "not judged": [summary.not_judged for summary in found.sizes],
        "no effect": [summary.not_applicable for summary in found.sizes],
        "unsettled": [_toned(summary.unsettled, "warn") for summary in found.sizes],
    }
    columns |= {title: cells for title, cells in rare.items() if any(cells)}
    rows = list(zip(*columns.values(), strict=True))
    return Table("Sets of failures", figures(*columns), rows, note)


def _toned(count: int, tone: Tone) -> Cell:
    return Toned(f"{count:,}", tone) if count else 0


def class_lines(model: Model, size: int) -> list[str]:
    """Which class of the standard judges sets of each size, in sentences."""
    lines = ["One failure is judged by its own class."]
    if size > 1:
        other = judged_as(model, ["region", "region"])
        joint = joint_severity(["region", "region"])
        pair = f"`{judged_as(model, ['single', 'single'])}`"
        lines.append(
            f"Two are judged by {pair}, or by the more lenient class of one of them; two that "
            f"both are more than double by `{other}`."
        )
        if other != joint:
            lines[-1] += f" (The standard asks nothing of `{joint}`.)"
    if size > 2:
        lines.append(f"Three and more are judged by `{judged_as(model, ['single'] * 3)}`.")
    return lines


def verdict_line(found: Stress) -> str:
    """What is known, in a sentence."""
    left = sum(summary.unsettled for summary in found.sizes)
    every = sum(summary.sets for summary in found.sizes)
    rest = f" {left:,} of {every:,} sets are not settled." if left else ""
    if found.failing:
        least = len(found.smallest[0].failures)
        proven = "none smaller does" if found.smallest_is_proven else "smaller ones are open"
        alone = f"the smallest is of {counted(least, 'failure')}, and {proven}"
        verb = "breaks" if len(found.failing) == 1 else "break"
        return (
            f"{len(found.failing):,} of {counted(every, 'set')} {verb} the standard, "
            f"{len(found.minimal):,} of them though none of their parts does; "
            f"{'one failure alone is enough' if least == 1 else alone}.{rest}"
        )
    if left:
        return f"No set that is settled breaks the standard.{rest}"
    judged = every - sum(one.not_judged + one.not_applicable for one in found.sizes)
    up_to = f"No set of up to {counted(found.size, 'failure')} breaks the standard"
    return f"{up_to}: all {judged:,} that are judged survive."


def _worst_title(found: Stress) -> str:
    known = "" if found.complete else ", as far as settled"
    return f"The worst of {counted(found.size, 'failure')}{known}"


def _told(one: SetOutcome) -> str:
    _, at, hour = one.scenario.rpartition("@")
    when = f" ({hour})" if at else ""
    why = f"{one.breach}; " if one.breach else ""
    lost = requests(one.lost_requests) if one.lost_requests else "no requests"
    return f"{one.label}{when}: {why}{lost} lost, judged by `{one.severity}`"


def stress_data(found: Stress, loaded: LoadedModel) -> dict[str, Any]:
    """The result for machines, with every set that fails."""
    worst = {summary.size: found.worst(summary.size) for summary in found.sizes}
    return {
        "model": {"name": loaded.name, "sha256": loaded.sha256},
        "size": found.size,
        "hours": found.hours,
        "failures": found.failures,
        "survives": found.survives,
        "complete": found.complete,
        "classes": class_lines(loaded.model, found.size),
        "sizes": [vars(size) | {"unsettled": size.unsettled} for size in found.sizes],
        "smallest_is_proven": found.smallest_is_proven,
        "smallest": [set_data(one) for one in found.smallest],
        "minimal": [set_data(one) for one in found.minimal],
        "worst": {str(size): one and set_data(one) for size, one in worst.items()},
        "failing": [set_data(one) for one in found.failing],
    }


def set_data(one: SetOutcome) -> dict[str, Any]:
    """A set and its outcome for machines."""
    return {
        "failures": one.failures,
        "severity": one.severity,
        "status": one.status,
        "scenario": one.scenario,
        "lost_requests": round(one.lost_requests, 1),
        "least_served": round(one.least_served, 6),
        "recovery_minutes": one.recovery_minutes,
        "breach": one.breach,
        "simulated": one.simulated,
    }


def _listed_table(title: str, sets: Sequence[SetOutcome]) -> Table:
    columns = texts("failures") + texts("class", folds=False) + texts("what breaks first")
    columns += figures("requests lost", "full after")
    rows: list[tuple[Cell, ...]] = [
        (
            one.label,
            one.severity,
            one.breach,
            requests(one.lost_requests).removesuffix(" requests"),
            minutes(one.recovery_minutes),
        )
        for one in sets
    ]
    return Table(title, columns, rows).first(MOST_LISTED)


def _page(found: Stress, loaded: LoadedModel) -> str:
    worst = found.worst(found.size)
    failing = _listed_table("Sets that fail though none of their parts does", found.minimal).html()
    return filled(
        "stress.html",
        policy=_POLICY,
        style=asset("report.css"),
        name=escape(loaded.name),
        title=escape(_title(found, loaded)),
        tone="good" if found.survives and found.complete else "bad",
        verdict=escape(verdict_line(found)),
        sizes=_sizes(found).html(),
        classes=escape(" ".join(class_lines(loaded.model, found.size)).replace("`", "")),
        matrix=matrix_svg(found),
        failing=failing or "<p>Nothing that is settled.</p>",
        worst=_listed_table(_worst_title(found), [worst] if worst else []).html(),
    )


def show_check(
    check: CertificateCheck, certificate: Certificate, path: Path, as_json: bool
) -> None:
    """Print what simulating a certificate again has found."""
    open_sets = sum(certificate.counts) - check.sets
    if as_json:
        data = {"certificate": str(path), "model": certificate.model, "unsettled": open_sets}
        found = {
            "sets": check.sets,
            "failing_simulated": check.failing,
            "others_simulated": check.surviving,
            "agrees": not check.differences,
            "differences": check.differences,
        }
        print_json(data | found)
        return
    console = new_console()
    bullets(console, check.differences, MOST_LISTED)
    others = check.sets - sum(one.status == "fails" for one in certificate.sets)
    part = percent(check.surviving / others, 0) if others else "all"
    ran = [f"all {check.failing:,} that fail", f"{part} of the {others:,} that do not"]
    say(console, f"Simulated again, of {counted(check.sets, 'set')}: {listed(ran)}.")
    if open_sets:
        say(console, f"{open_sets:,} sets are not settled in it.", style="yellow")
    if check.differences:
        text = f"{path} does not hold: {counted(len(check.differences), 'difference')}."
        say(console, text, style="bold red")
    else:
        say(console, f"{path} holds.", style="green")
