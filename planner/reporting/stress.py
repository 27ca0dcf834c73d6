"""Sets of failures that a plan does not survive: for the terminal, machines and pages."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
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
from planner.reporting.stress_picture import matrix_svg
from planner.reporting.tables import Cell, Table, Tone, Toned, figures, texts
from planner.reporting.terminal import bullets, heading, new_console, print_json, say
from planner.scenarios.components import joint_severity

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
