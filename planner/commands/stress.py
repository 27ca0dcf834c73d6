"""``plan stress``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.amounts import counted
from planner.commands.options import (
    Output,
    bundle,
    file_option,
    output_options,
    refuse_others,
    workers_options,
)
from planner.commands.parameter_types import FiniteRange
from planner.commands.plan_options import SubjectOptions, subject_options
from planner.errors import EXIT_DONE, EXIT_NOT_SURVIVED, EXIT_TIME_LIMIT

if TYPE_CHECKING:
    from planner.analysis.stress.search import SizeSummary
    from planner.infrastructure.failures import HourChoice

#: Options that say something to a certificate, which states its search itself.
OF_CERTIFICATES = frozenset(
    {"model", "overrides", "plan_file", "check", "share", "certificate"}
    | {"as_json", "quiet", "jobs", "scheduler"}
)
#: What Ctrl-C does.
INTERRUPTED = "Interrupted: ending with the sets that are settled; again quits at once.\n"


@dataclass(frozen=True)
class SearchOptions:
    """Which sets of failures to settle, and for how long."""

    size: int
    hours: HourChoice
    services: bool
    only: tuple[str, ...]
    excluded: tuple[str, ...]
    time_limit: float | None


@dataclass(frozen=True)
class CertificateOptions:
    """Certificates: what to write, or what share of one to simulate again."""

    certificate: Path | None
    check: Path | None
    share: float

    def __post_init__(self) -> None:
        if self.check is not None and self.certificate is not None:
            raise click.UsageError("--check reads a certificate: it goes without --certificate.")
        if self.check is None and self.share != 1.0:
            raise click.UsageError("--share needs --check.")


search_options = bundle(
    "search",
    SearchOptions,
    click.option("-k", "--at-once", "size", type=click.IntRange(1, 6), default=2, metavar="N"),
    click.option("--hours", type=click.Choice(("peak", "worst", "all")), default="peak"),
    click.option("--services", is_flag=True),
    click.option("--only", multiple=True, metavar="PATTERN"),
    click.option("--except", "excluded", multiple=True, metavar="PATTERN"),
    click.option("--time-limit", type=FiniteRange(0, min_open=True), metavar="SECONDS"),
)
certificate_options = bundle(
    "certificates",
    CertificateOptions,
    click.option("--certificate", type=click.Path(path_type=Path), metavar="FILE"),
    click.option("--check", type=click.Path(path_type=Path), metavar="FILE"),
    click.option(
        "--share", type=FiniteRange(0, 1), default=1.0, show_default=False, metavar="SHARE"
    ),
)


@click.command("stress")
@subject_options
@search_options
@file_option("FILE")
@certificate_options
@output_options
@workers_options
def command(
    subject: SubjectOptions,
    search: SearchOptions,
    file: Path | None,
    certificates: CertificateOptions,
    output: Output,
) -> int:
    """Find the smallest and the worst sets of failures that a plan for MODEL does not survive.

    Every set of up to N failures of components at the same time is settled, by proof that it runs
    the same course as another, or by simulation. Exits with 4 if one breaks the survival standard,
    with 5 if none is known to but time ended first; with --check, with 4 if anything differs.
    """
    if certificates.check is not None:
        return _check(subject, certificates.check, certificates.share, output)
    from planner.analysis.stress.certificate import Asked, certificate_of
    from planner.analysis.stress.failure_sets import FailureSets
    from planner.analysis.stress.search import stress
    from planner.commands.interruption import interruptible
    from planner.files import check_file, write_file
    from planner.json_text import json_text
    from planner.reporting.stress import KINDS, show_stress, write_output

    if file is not None:
        check_file(file, *KINDS)
    if certificates.certificate is not None:
        check_file(certificates.certificate)
    found = subject.open(output)
    sets = FailureSets.of(found.loaded.model, search.services, search.only, search.excluded)
    output.say(f"{found.loaded.name}: {counted(len(sets.components), 'failure')} to combine")
    end = None if search.time_limit is None else time.monotonic() + search.time_limit
    progress = output.progress

    def settled(summary: SizeSummary) -> None:
        progress.say(
            f"{counted(summary.size, 'failure')} at once: {counted(summary.sets, 'set')}, "
            f"{summary.by_proof:,} by proof, {summary.simulated:,} simulated, "
            f"{summary.failing:,} fail"
        )

    with progress.working(search.time_limit), interruptible(output.quiet, INTERRUPTED) as stop:

        def over() -> bool:
            return stop.is_set() or (end is not None and time.monotonic() >= end)

        result = stress(
            found.fleet, sets, search.size, search.hours, over, progress.reporter(), settled
        )
    if file is not None:
        write_output(result, found.loaded, file)
        output.say(f"wrote {file}")
    if certificates.certificate is not None:
        asked = Asked(search.services, search.only, search.excluded)
        made = certificate_of(result, found.loaded, found.fleet, asked)
        write_file(json_text(made).encode() + b"\n", certificates.certificate)
        output.say(f"wrote {certificates.certificate}")
    show_stress(result, found.loaded, output.as_json, found.notes)
    if result.failing:
        return EXIT_NOT_SURVIVED
    return EXIT_DONE if result.complete else EXIT_TIME_LIMIT


def _check(subject: SubjectOptions, path: Path, share: float, output: Output) -> int:
    """Simulate a certificate again."""
    from planner.analysis.stress.certificate import check_certificate, read_certificate
    from planner.reporting.stress import show_check

    refuse_others(OF_CERTIFICATES, "--check, which simulates what the certificate says")
    certificate = read_certificate(path)
    found = subject.open(output)
    progress = output.progress
    with progress.working():
        check = check_certificate(
            certificate, found.loaded, found.fleet, share, str(path), progress.reporter()
        )
    show_check(check, certificate, path, output.as_json)
    return EXIT_NOT_SURVIVED if check.differences else EXIT_DONE
