"""Prometheus: demand by zone, tier and hour of the week, retries, and the GPUs that serve it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from planner.errors import InputError
from planner.files import read_bytes
from planner.imports.drafts import UNKNOWN, Draft, Pool, add_pools
from planner.imports.inventory import Asked, Importer, Inventory, Stated, Total
from planner.imports.live import get, token_for
from planner.imports.reading import pages, read_records
from planner.laws.calendar import HOURS_PER_WEEK

#: Labels, and queries: for all requests, for those that are retries, for those that failed.
NAMES = {
    "zone": "zone",
    "tier": "tier",
    "region": "region",
    "gpu": "modelName",
    "requests": "",
    "retries": "",
    "failures": "",
    "gpus": "count by ({region}, {gpu}) (DCGM_FI_DEV_GPU_UTIL)",
    "utilisation": "avg by ({region}, {gpu}) (DCGM_FI_DEV_GPU_UTIL) / 100",
}
QUERIES = ("requests", "retries", "failures", "gpus", "utilisation")
TOKEN = "PROMETHEUS_TOKEN"  # noqa: S105 - the name of the variable
STEP_SECONDS = 300
#: Monday, 00:00 UTC is hour 0 of the week; the epoch began on a Thursday.
EPOCH_HOUR = 72
#: Longest time that samples may span, hours.
MOST_HOURS = 24 * 366
#: Share of the hours of the week that must have samples for a shape of the week.
COVERED = 0.9
#: Samples above the mean of the peak hour, and shares of tiers between zones, that are told.
BURST, UNLIKE = 1.25, 0.1
#: Retries that a tier can have; where clients give up is in `gives_up`.
MOST_ATTEMPTS = 10
MISSING = (
    ("zones", "where users are: latency to every region"),
    ("tiers", "priorities, promises, value of requests, limits of latency"),
    ("services", "what serves the requests, and what that depends on: none here"),
    *UNKNOWN,
)
Floats = NDArray[np.float64]


class _Series(BaseModel):
    metric: Mapping[str, str]
    values: Annotated[tuple[tuple[float, float], ...], Field(min_length=1)]


class _Matrix(BaseModel):
    resultType: Literal["matrix"]  # noqa: N815
    result: tuple[_Series, ...]


class _Answer(BaseModel):
    status: Literal["success"]
    data: _Matrix


@dataclass(frozen=True)
class _Measured:
    """Means by hour, the same hours for every key; NaN where nothing was measured at all."""

    first: int
    hourly: Mapping[tuple[str, ...], Floats]
    largest: Mapping[tuple[str, ...], float]

    def total(self, *places: int) -> dict[tuple[str, ...], Floats]:
        """Sums by some of the labels."""
        found: dict[tuple[str, ...], Floats] = {}
        for key, values in self.hourly.items():
            part = tuple(key[place] for place in places)
            found[part] = found[part] + values if part in found else values
        return found


def read_prometheus(asked: Asked) -> Inventory:
    """Read what ``/api/v1/query_range`` answers, or a folder of such answers.

    Raises
    ------
    InputError
        If the requests are missing or span less than a day, or anything is not as expected.
    """
    names = {**NAMES, **asked.names}
    answers = {name: tuple(_answers(asked, name, names)) for name in QUERIES}
    requests = _measured(
        asked.place, "requests", answers["requests"], (names["zone"], names["tier"])
    )
    if requests is None:
        message = "no requests: save requests.json, or say --name requests=QUERY with --url"
        raise InputError.single(asked.place, message)
    draft, tiers = Draft("prometheus"), (names["tier"],)
    retries = _measured(asked.place, "retries", answers["retries"], tiers, requests)
    failures = _measured(asked.place, "failures", answers["failures"], tiers, requests)
    wanted = _first_attempts(requests, retries)
    _add_zones(draft, asked.place, wanted)
    _add_tiers(draft, wanted, retries, failures)
    places = names["region"], names["gpu"]
    gpus = _measured(asked.place, "gpus", answers["gpus"], places, requests)
    busy = _measured(asked.place, "utilisation", answers["utilisation"], places, requests)
    totals = [
        Total(zone or "all", "requests/s, mean", tier or "all", round(float(np.nanmean(v)), 6))
        for (zone, tier), v in sorted(wanted.hourly.items())
    ]
    if busy is not None:
        totals += [
            Total(region or "all", "utilisation, peak", gpu or "all", round(float(np.nanmax(v)), 6))
            for (region, gpu), v in sorted(busy.hourly.items())
        ]
    if gpus is not None:
        _add_gpus(draft, gpus, busy, requests)
    return draft.inventory(MISSING, tuple(totals))


def _answers(asked: Asked, name: str, names: Mapping[str, str]) -> Iterator[_Answer]:
    """Answers to a query, of a server or in the files ``NAME.json``, ``NAME.*.json``."""
    if asked.path is not None:
        if not asked.path.is_dir():
            raise InputError.single(asked.place, "is not a folder; expected one with requests.json")
        for file in pages(asked.path, name):
            yield read_records(read_bytes(file, str(file)), str(file), _Answer)
        return
    base = asked.url.rstrip("/")
    token = token_for(base, TOKEN)
    query = names[name]
    if query == NAMES[name]:
        query = query.format(**names)
    if query:
        end = int(time.time()) // 3600 * 3600 - STEP_SECONDS
        start = end - asked.days * 86_400 + STEP_SECONDS
        said = {"query": query, "start": str(start), "end": str(end), "step": str(STEP_SECONDS)}
        content = get(f"{base}/api/v1/query_range", token, said)
        yield read_records(content, f"{base}: {name}", _Answer)


def _measured(
    place: str,
    query: str,
    answers: Sequence[_Answer],
    labels: tuple[str, ...],
    like: _Measured | None = None,
) -> _Measured | None:
    """Means by hour of all series with the same labels; None if there is no series.

    Parameters
    ----------
    like
        What was measured at the same hours; None for the hours of the series themselves.
    """
    series = [
        (tuple(one.metric.get(label, "") for label in labels), *_samples(place, query, one))
        for answer in answers
        for one in answer.data.result
    ]
    series = [(key, hours, values) for key, hours, values in series if len(hours)]
    if not series:
        return None
    first = min(hours[0] for _, hours, _ in series) if like is None else like.first
    length = max(hours[-1] for _, hours, _ in series) - first + 1
    if like is not None:
        length = len(next(iter(like.hourly.values())))
    if length > MOST_HOURS:
        message = f"{query}: samples span {length:,} hours; expected at most {MOST_HOURS:,}"
        raise InputError.single(place, message)
    hourly: dict[tuple[str, ...], Floats] = {}
    largest: dict[tuple[str, ...], float] = {}
    covered = np.zeros(length, dtype=bool)
    for key, hours, values in series:
        inside = (hours >= first) & (hours < first + length)
        index = hours[inside] - first
        counts = np.bincount(index, minlength=length)
        sums = np.bincount(index, weights=values[inside], minlength=length)
        covered |= counts > 0
        # A series that is absent while others are there has no requests.
        hourly[key] = hourly.get(key, np.zeros(length)) + sums / np.maximum(counts, 1)
        largest[key] = largest.get(key, 0.0) + float(values.max())
    if not covered.any():
        raise InputError.single(place, f"{query}: no sample is of the time of the requests")
    for found in hourly.values():
        found[~covered] = np.nan
    return _Measured(first, hourly, largest)


def _samples(place: str, query: str, series: _Series) -> tuple[NDArray[np.int64], Floats]:
    """Hours since the epoch, in order, and values of a series, without those that are no number."""
    found = np.array(series.values)
    found = found[np.isfinite(found).all(axis=1)]
    found = found[np.argsort(found[:, 0], kind="stable")]
    most = 1.0 + 1e-6 if query == "utilisation" else 1e9
    wrong = (found[:, 1] < 0) | (found[:, 1] > most) | (np.abs(found[:, 0]) > 1e11)
    if wrong.any():
        when, value = found[wrong][0]
        message = f"{query}: {value:g} at {when:.0f} s; expected a value from 0 to {most:g}"
        raise InputError.single(place, message)
    if len(found) > 1 and np.median(np.diff(found[:, 0])) > 3600:
        raise InputError.single(place, f"{query}: expected a step of at most an hour")
    return (found[:, 0] // 3600).astype(np.int64), found[:, 1]


def _first_attempts(requests: _Measured, retries: _Measured | None) -> _Measured:
    """Requests without retries, which are spread over the zones as the requests of their tier."""
    if retries is None:
        return requests
    of_tier, again = requests.total(1), retries.total(0)
    hourly = {}
    for key, values in requests.hourly.items():
        rest = np.nan_to_num(again.get(key[1:], np.zeros_like(values)))
        share = np.clip(rest / np.maximum(of_tier[key[1:]], 1e-12), 0.0, 1.0)
        hourly[key] = values * (1.0 - share)
    return _Measured(requests.first, hourly, requests.largest)


def _add_zones(draft: Draft, place: str, wanted: _Measured) -> None:
    """Add zones with their peak and shape of the week, or of the day."""
    largest: dict[str, float] = {}
    for (zone, _), most in wanted.largest.items():
        largest[zone] = largest.get(zone, 0.0) + most
    for (zone,), values in sorted(wanted.total(0).items()):
        week, why = _shape(draft, place, values, wanted.first + EPOCH_HOUR)
        name, peak = draft.names.new(zone or "users"), float(week.max())
        if peak <= 0:
            draft.find("left out", f"zone {zone}", "has no requests")
            continue
        if largest[zone] > BURST * peak:
            text = f"samples reach {largest[zone]:,.6g} requests/s, its peak hour has {peak:,.6g}"
            draft.find("suspect", f"zone {zone}", text)
        shape = draft.names.new(name, "shape")
        draft.add("shapes", shape, "", Stated([round(float(v) / peak, 4) for v in week], why))
        fields = {
            "demand_rps": Stated(round(peak, 6), "mean of its peak hour, without retries"),
            "shape": Stated(shape),
            "utc_offset_hours": Stated(0, "hours of the shape are UTC"),
        }
        draft.add("zones", name, zone, fields)


def _shape(draft: Draft, place: str, values: Floats, start: int) -> tuple[Floats, str]:
    """Mean by hour of the week if most have samples, else by hour of the day; and what it is."""
    hours = (np.arange(len(values)) + start) % HOURS_PER_WEEK
    known = ~np.isnan(values)
    for period, what, share in ((HOURS_PER_WEEK, "week", COVERED), (24, "day", 1.0)):
        index = hours[known] % period
        counts = np.bincount(index, minlength=period)
        empty = counts == 0
        if empty.mean() > 1 - share + 1e-9:
            continue
        means = np.bincount(index, weights=values[known], minlength=period) / np.maximum(counts, 1)
        there = np.flatnonzero(~empty)
        means[empty] = np.interp(np.flatnonzero(empty), there, means[there], period=period)
        if empty.any():
            text = f"{empty.sum()} hours of the week have no samples: as those around them"
            draft.find("suspect", "zones", text)
        if period == 24:
            text = "shape of the week: too few samples, all days are alike"
            draft.find("missing", "zones", text)
        return means, f"mean of {known.sum():,} hours, by hour of the {what} in UTC"
    message = f"requests: {known.sum()} hours have samples; expected those of a day at least"
    raise InputError.single(place, message)


def _add_tiers(
    draft: Draft, wanted: _Measured, retries: _Measured | None, failures: _Measured | None
) -> None:
    """Add tiers with their share of the requests, and how often clients come back."""
    sums = {key: float(np.nansum(values)) for key, values in wanted.hourly.items()}
    total = sum(sums.values())
    tiers = sorted({tier for _, tier in sums})
    if tiers == [""] or total <= 0:
        draft.find("missing", "tiers", "no series says which tier its requests are of")
        return
    shares = {tier: sum(v for key, v in sums.items() if key[1] == tier) / total for tier in tiers}
    for rank, tier in enumerate(tiers, 1):
        fields = {
            "priority": Stated(rank, "in the order of their names", "low"),
            "share": Stated(round(shares[tier], 9), "of all requests"),
        }
        again, failed = (_sum(measured, tier) for measured in (retries, failures))
        if again and failed:
            left = round(min(1.0, max(0.0, 1.0 - again / failed)), 6)
            retry = {"attempts": MOST_ATTEMPTS, "gives_up": left}
            why = "retries over failures; rates do not tell a last attempt from giving up"
            fields["retry"] = Stated(retry, why, "medium", "retries and failures")
        draft.add("tiers", draft.names.new(tier or "no-tier"), tier, fields)
    if retries is None or failures is None:
        draft.find("missing", "tiers", "what clients do on failure: needs `retries` and `failures`")
    for zone in sorted({zone for zone, _ in sums}):
        here = {tier: sums.get((zone, tier), 0.0) for tier in tiers}
        of_zone = sum(here.values())
        odd = max(tiers, key=lambda tier: abs(here[tier] / (of_zone or 1.0) - shares[tier]))
        if of_zone and abs(here[odd] / of_zone - shares[odd]) > UNLIKE:
            text = (
                f"{here[odd] / of_zone:.0%} of its requests are of tier {odd}, "
                f"{shares[odd]:.0%} of all: the model has one share for all zones"
            )
            draft.find("suspect", f"zone {zone}", text)


def _sum(measured: _Measured | None, tier: str) -> float:
    values = measured.total(0).get((tier,)) if measured else None
    return 0.0 if values is None else float(np.nansum(values))


def _add_gpus(draft: Draft, gpus: _Measured, busy: _Measured | None, requests: _Measured) -> None:
    """Add GPUs by region and type, with the requests that a busy one serves."""
    pools = []
    for (region, gpu), values in gpus.hourly.items():
        known = values[~np.isnan(values)]
        if count := round(float(known[-1])):
            pools.append(Pool(region or "one-region", "", gpu or "gpu", count, count, "GPUs"))
    if not pools:
        return
    add_pools(draft, pools, "GPUs in the last hour")
    if busy is None:
        draft.find("missing", "gpus", "requests per second of a GPU: needs `utilisation`")
        return
    served = np.sum([*requests.hourly.values()], axis=0)
    used = np.zeros_like(served)
    for key, values in gpus.hourly.items():
        used = used + values * busy.hourly.get(key, np.nan)
    both = ~np.isnan(used + served)
    if used[both].sum() > 0 and served[both].sum() > 0:
        rps = round(float(served[both].sum() / used[both].sum()), 6)
        why = "requests over busy GPUs, alike for all types"
        for name, fields in draft.sections["gpus"].items():
            stated = Stated(rps, why, "medium", "utilisation")
            draft.sections["gpus"][name] = {**fields, "rps": stated}  # type: ignore[dict-item]


IMPORTER = Importer(read_prometheus, NAMES, TOKEN)
