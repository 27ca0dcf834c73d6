"""Certificates of stress: every settled set with its outcome, to be simulated again by anybody."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from planner.analysis.stress.failure_sets import FailureSets, Members
from planner.analysis.stress.search import SetOutcome, Stress, judged_alone, sets_at_once
from planner.errors import InputError, Problem
from planner.files import read_bytes
from planner.infrastructure.failures import HourChoice, Severity
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.infrastructure.source import printable
from planner.json_text import json_text
from planner.plan.records import Record
from planner.simulation.verdict import Status

#: Relative difference of lost requests up to which two outcomes are the same.
SAME = 1e-6
#: Size of a certificate beyond which it is none.
MOST_BYTES = 1_000_000_000
Count = Annotated[int, Field(ge=0, strict=True)]


class CertifiedSet(Record):
    """A set of failures and what came of it (`planner.analysis.stress.search.SetOutcome`)."""

    failures: Annotated[tuple[str, ...], Field(min_length=1)]
    severity: Severity
    status: Status
    scenario: str
    lost_requests: Annotated[float, Field(ge=0)]
    breach: str
    simulated: bool

    @classmethod
    def of(cls, one: SetOutcome) -> CertifiedSet:
        """An outcome as it is certified."""
        return cls(**{name: getattr(one, name) for name in cls.model_fields})


class Certificate(Record):
    """What `plan stress --certificate` writes.

    Parameters
    ----------
    model, model_sha256
        Name and checksum of the model.
    fleet_sha256
        Checksum of the capacities that were judged (`fleet_digest`).
    size, hours, services, only, excluded
        What was asked for.
    failures
        Names of the elementary failures.
    counts
        Number of sets of each size, from one on, whether or not they are settled.
    sets
        Settled sets.
    """

    kind: Literal["stress certificate"] = "stress certificate"
    version: Literal[1] = 1
    model: str
    model_sha256: str
    fleet_sha256: str
    size: Annotated[int, Field(ge=1)]
    hours: HourChoice
    services: bool = False
    only: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    failures: tuple[str, ...]
    counts: tuple[Count, ...]
    sets: tuple[CertifiedSet, ...]


@dataclass(frozen=True)
class Asked:
    """Which failures were combined: `FailureSets.of`."""

    services: bool = False
    only: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True)
class CertificateCheck:
    """What simulating a certificate again has found.

    Parameters
    ----------
    failing, surviving
        How many sets that fail, and that do not, were simulated again.
    sets
        How many sets the certificate holds.
    differences
        What is not as it says, in words.
    """

    failing: int
    surviving: int
    sets: int
    differences: tuple[str, ...]


def fleet_digest(fleet: Fleet) -> str:
    """Checksum of the capacities of a fleet."""
    parts = {name: dict(units) for name, units in fleet.units.items()}
    text = json_text(
        [parts, dict(fleet.gpus), dict(fleet.instances), fleet.opened, fleet.measures], "compact"
    )
    return sha256(text.encode()).hexdigest()


def certificate_of(
    found: Stress, loaded: LoadedModel, fleet: Fleet, asked: Asked | None = None
) -> Certificate:
    """The certificate of a result."""
    asked = asked or Asked()
    return Certificate(
        model=loaded.name,
        model_sha256=loaded.sha256,
        fleet_sha256=fleet_digest(fleet),
        size=found.size,
        hours=found.hours,
        services=asked.services,
        only=asked.only,
        excluded=asked.excluded,
        failures=found.failures,
        counts=tuple(summary.sets for summary in found.sizes),
        sets=tuple(CertifiedSet.of(one) for one in found.outcomes),
    )


def read_certificate(path: Path) -> Certificate:
    """Read a certificate.

    Raises
    ------
    InputError
        If it cannot be read, or is none: with everything that is wrong.
    """
    try:
        return Certificate.model_validate_json(read_bytes(path, str(path), MOST_BYTES))
    except ValidationError as error:
        problems = [
            Problem(
                str(path),
                0,
                0,
                ".".join(map(str, problem["loc"])),
                printable(f"is no certificate of stress: {problem['msg']}"),
            )
            for problem in error.errors(include_url=False)[:20]
        ]
        raise InputError(problems) from error


def check_certificate(
    certificate: Certificate,
    loaded: LoadedModel,
    fleet: Fleet,
    share: float = 1.0,
    shown: str = "certificate",
    on_part: Callable[[int, int], None] | None = None,
) -> CertificateCheck:
    """Simulate the sets of a certificate again: all that fail, and a share of the others.

    Sets settled by proof are simulated like all others. Their number is counted anew, too: none may
    be missing, and none be there twice.

    Parameters
    ----------
    share
        Share of the sets that do not fail, evenly spread.
    shown
        What the certificate is called in problems.
    on_part
        Called with the number of sets done and that of all.

    Raises
    ------
    InputError
        If it is of another model or plan.
    """
    _refuse_others(certificate, loaded, fleet, shown)
    sets = FailureSets.of(
        loaded.model, certificate.services, certificate.only, certificate.excluded
    )
    differences = _miscounted(certificate, sets)
    place = {name: number for number, name in enumerate(sets.names)}
    known = [one for one in certificate.sets if set(one.failures) <= set(place)]
    failing = [one for one in known if one.status == "fails"]
    others = [one for one in known if one.status != "fails"]
    wanted = math.ceil(share * len(others))
    spread = [others[number * len(others) // wanted] for number in range(wanted)]
    chosen = [*failing, *spread]
    step = sets_at_once(certificate.hours)
    for first in range(0, len(chosen), step):
        batch = chosen[first : first + step]
        members: list[Members] = [tuple(place[name] for name in one.failures) for one in batch]
        again = judged_alone(fleet, sets, members, certificate.hours)
        for one, outcome in zip(batch, again, strict=True):
            differences += _differences(one, outcome)
        if on_part is not None:
            on_part(first + len(batch), len(chosen))
    return CertificateCheck(len(failing), len(spread), len(certificate.sets), tuple(differences))


def _refuse_others(certificate: Certificate, loaded: LoadedModel, fleet: Fleet, shown: str) -> None:
    if certificate.model_sha256 != loaded.sha256:
        message = (
            f"is of model `{printable(certificate.model)}` as it was then; `{loaded.name}` is "
            "another, or has changed since"
        )
        raise InputError.single(shown, message)
    if certificate.fleet_sha256 != fleet_digest(fleet):
        raise InputError.single(shown, "is of another plan: its capacities differ from these")


def _miscounted(certificate: Certificate, sets: FailureSets) -> list[str]:
    """What is wrong with the number of sets, and with their names."""
    if certificate.failures != sets.names:
        return ["the elementary failures are others"]
    found, place = [], {name: number for number, name in enumerate(sets.names)}
    listed = [tuple(place.get(name, -1) for name in one.failures) for one in certificate.sets]
    if len(certificate.counts) != certificate.size:
        found.append("it does not count the sets of every size")
    for size in range(1, certificate.size + 1):
        every = sets.of_size(size)
        here = [members for members in listed if len(members) == size]
        stated = certificate.counts[size - 1] if size <= len(certificate.counts) else 0
        if stated != len(every):
            found.append(f"there are {len(every):,} sets of {size}, not {stated:,}")
        unknown = len(set(here) - set(every))
        if unknown:
            found.append(f"{unknown:,} of its sets of {size} are none of these failures")
        if len(set(here)) < len(here):
            found.append(f"sets of {size} are listed twice")
    return found


def _differences(one: CertifiedSet, again: SetOutcome) -> Sequence[str]:
    name = " and ".join(one.failures)
    if (one.severity, one.status) != (again.severity, again.status):
        now = f"{again.status} by `{again.severity}`"
        return [f"{name}: {one.status} by `{one.severity}`, and now {now}"]
    if not math.isclose(one.lost_requests, again.lost_requests, rel_tol=SAME, abs_tol=1.0):
        return [
            f"{name}: {one.lost_requests:,.0f} requests lost, and now {again.lost_requests:,.0f}"
        ]
    return []
