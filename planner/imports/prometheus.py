"""Prometheus: demand by zone, tier and hour of the week, retries, and the GPUs that serve it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from time import time
from typing import Annotated, Literal

import numpy as np
import pandas as pd
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
#: Difference between zones in the share of a tier that is told.
UNLIKE = 0.1
#: Retries that a tier can have; where clients give up is in `gives_up`.
MOST_ATTEMPTS = 10
MISSING = (
    ("zones", "where users are: latency to every region"),
    ("tiers", "priorities, promises, value of requests, limits of latency"),
    ("services", "what serves the requests, and what that depends on: none here"),
    *UNKNOWN,
)


class _Series(BaseModel):
    metric: Mapping[str, str]
    values: Annotated[tuple[tuple[float, float], ...], Field(min_length=1)]


class _Matrix(BaseModel):
    resultType: Literal["matrix"]  # noqa: N815
    result: tuple[_Series, ...]


class _Answer(BaseModel):
    status: Literal["success"]
    data: _Matrix


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
    retries, failures = (
        _measured(asked.place, name, answers[name], tiers, requests)
        for name in ("retries", "failures")
    )
    wanted = _first_attempts(requests, retries)
    _add_zones(draft, asked.place, wanted)
    _add_tiers(draft, wanted, retries, failures)
    labels = names["region"], names["gpu"]
    gpus, busy = (
        _measured(asked.place, name, answers[name], labels, requests)
        for name in ("gpus", "utilisation")
    )
    if gpus is not None:
        _add_gpus(draft, gpus, busy, requests)
    figures = {"requests/s, mean": wanted.mean()}
    if busy is not None:
        figures["utilisation, peak"] = busy.max()
    totals = (
        Total(place or "all", what, part or "all", round(value, 6))
        for what, found in figures.items()
        for (place, part), value in _by_labels(found).items()
    )
    return draft.inventory(MISSING, tuple(totals))


def _by_labels(values: pd.Series[float]) -> dict[tuple[str, str], float]:
    """Values by their two labels."""
    keys = (tuple(map(str, key)) for key in values.index)
    return {(key[0], key[1]): float(value) for key, value in zip(keys, values, strict=True)}


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
        end = int(time()) // 3600 * 3600 - STEP_SECONDS
        start = end - asked.days * 86_400 + STEP_SECONDS
        said = {"query": query, "start": str(start), "end": str(end), "step": str(STEP_SECONDS)}
        content = get(f"{base}/api/v1/query_range", token, said)
        yield read_records(content, f"{base}: {name}", _Answer)


def _measured(
    place: str,
    query: str,
    answers: Sequence[_Answer],
    labels: tuple[str, ...],
    like: pd.DataFrame | None = None,
) -> pd.DataFrame | None:
    """Means by hour since the epoch (rows) and labels (columns); None if there is no series.

    A series that is absent while others are there is 0; hours with no sample at all are NaN.

    Parameters
    ----------
    like
        What was measured at the same hours; None for the hours of the series themselves.
    """
    every = [series for answer in answers for series in answer.data.result]
    hourly = [_hourly(place, query, series) for series in every]
    if not any(map(len, hourly)):
        return None
    found = pd.concat(hourly, axis=1)
    keys = [tuple(series.metric.get(label, "") for label in labels) for series in every]
    found.columns = pd.MultiIndex.from_tuples(keys)
    first, last = (int(found.index.min()), int(found.index.max()))
    if last - first >= MOST_HOURS:
        message = f"{query}: samples span {last - first:,} hours; expected at most {MOST_HOURS:,}"
        raise InputError.single(place, message)
    measured = found.notna().any(axis=1)
    found = found.fillna(0.0).T.groupby(level=list(range(len(labels)))).sum().T.where(measured)
    found = found.reindex(range(first, last + 1) if like is None else like.index)
    if found.isna().all(axis=None):
        raise InputError.single(place, f"{query}: no sample is of the time of the requests")
    return found


def _hourly(place: str, query: str, series: _Series) -> pd.Series[float]:
    """Means of a series by hour since the epoch, of samples that are numbers."""
    found = np.array(series.values)
    found = found[np.isfinite(found).all(axis=1)]
    most = 1.0 + 1e-6 if query == "utilisation" else 1e9
    wrong = (found[:, 1] < 0) | (found[:, 1] > most) | (np.abs(found[:, 0]) > 1e11)
    if wrong.any():
        when, value = found[wrong][0]
        message = f"{query}: {value:g} at {when:.0f} s; expected a value from 0 to {most:g}"
        raise InputError.single(place, message)
    if len(found) > 1 and np.median(np.diff(np.sort(found[:, 0]))) > 3600:
        raise InputError.single(place, f"{query}: expected a step of at most an hour")
    hours = (found[:, 0] // 3600).astype(int)
    return pd.Series(found[:, 1], index=hours).groupby(level=0).mean()


def _first_attempts(requests: pd.DataFrame, retries: pd.DataFrame | None) -> pd.DataFrame:
    """Requests without retries, which are spread over the zones as the requests of their tier."""
    if retries is None:
        return requests
    of_tier = requests.T.groupby(level=1).sum().T
    share = (retries.reindex(columns=of_tier.columns) / of_tier).fillna(0.0).clip(0.0, 1.0)
    return requests * (1.0 - share[requests.columns.get_level_values(1)].to_numpy())


def _add_zones(draft: Draft, place: str, wanted: pd.DataFrame) -> None:
    """Add zones with their peak and shape of the week, or of the day."""
    for zone, values in wanted.T.groupby(level=0).sum(min_count=1).iterrows():
        means, why = _shape(draft, place, values)
        name, peak = draft.names.new(str(zone) or "users"), float(means.max())
        if peak <= 0:
            draft.find("left out", f"zone {zone}", "has no requests")
            continue
        shape = draft.names.new(name, "shape")
        draft.add("shapes", shape, "", Stated([round(v / peak, 4) for v in means.tolist()], why))
        fields = {
            "demand_rps": Stated(round(peak, 6), "mean of its peak hour, without retries"),
            "shape": Stated(shape),
            "utc_offset_hours": Stated(0, "hours of the shape are UTC"),
        }
        draft.add("zones", name, str(zone), fields)


def _shape(draft: Draft, place: str, values: pd.Series[float]) -> tuple[pd.Series[float], str]:
    """Mean by hour of the week if most have samples, else by hour of the day; and what it is."""
    known = values.dropna()
    hours = (known.index.to_numpy() + EPOCH_HOUR) % HOURS_PER_WEEK
    for period, what, share in ((HOURS_PER_WEEK, "week", COVERED), (24, "day", 1.0)):
        means = known.groupby(hours % period).mean()
        if len(means) < share * period:
            continue
        if absent := period - len(means):
            text = f"{absent} hours of the week have no samples: as those around them"
            draft.find("suspect", "zones", text)
        if period == 24:
            text = "shape of the week: too few samples, all days are alike"
            draft.find("missing", "zones", text)
        filled = np.interp(np.arange(period), means.index, means, period=period)
        return pd.Series(filled), f"mean of {len(known):,} hours, by hour of the {what} in UTC"
    message = f"requests: {len(known)} hours have samples; expected those of a day at least"
    raise InputError.single(place, message)


def _add_tiers(
    draft: Draft,
    wanted: pd.DataFrame,
    retries: pd.DataFrame | None,
    failures: pd.DataFrame | None,
) -> None:
    """Add tiers with their share of the requests, and how often clients come back."""
    sums = wanted.sum()
    by_tier = sums.groupby(level=1).sum()
    if list(by_tier.index) == [""] or not by_tier.sum():
        draft.find("missing", "tiers", "no series says which tier its requests are of")
        return
    shares = by_tier / by_tier.sum()
    for rank, (tier, share) in enumerate(shares.items(), 1):
        fields = {
            "priority": Stated(rank, "in the order of their names", "low"),
            "share": Stated(round(share, 9), "of all requests"),
        }
        again, failed = (
            0.0 if measured is None else measured.sum().get(tier, 0.0)
            for measured in (retries, failures)
        )
        if again and failed:
            left = round(min(1.0, max(0.0, 1.0 - again / failed)), 6)
            retry = {"attempts": MOST_ATTEMPTS, "gives_up": left}
            why = "retries over failures; rates do not tell a last attempt from giving up"
            fields["retry"] = Stated(retry, why, "medium", "retries and failures")
        draft.add("tiers", draft.names.new(str(tier) or "no-tier"), str(tier), fields)
    if retries is None or failures is None:
        draft.find("missing", "tiers", "what clients do on failure: needs `retries` and `failures`")
    of_zones = (sums / sums.groupby(level=0).transform("sum")).fillna(0.0)
    for (zone, tier), share in _by_labels(of_zones).items():
        of_all = float(shares[tier])
        if abs(share - of_all) > UNLIKE:
            text = f"{share:.0%} of its requests are of tier {tier}, {of_all:.0%} of all are"
            draft.find("suspect", f"zone {zone}", f"{text}: a model has one share for all zones")


def _add_gpus(
    draft: Draft, gpus: pd.DataFrame, busy: pd.DataFrame | None, requests: pd.DataFrame
) -> None:
    """Add GPUs by region and type, with the requests that a busy one serves."""
    last = _by_labels(gpus.ffill().iloc[-1]).items()
    pools = [
        Pool(region or "one-region", "", gpu or "gpu", round(count), round(count), "GPUs")
        for (region, gpu), count in last
        if round(count)
    ]
    if not pools:
        return
    add_pools(draft, pools, "GPUs in the last hour")
    if busy is None:
        draft.find("missing", "gpus", "requests per second of a GPU: needs `utilisation`")
        return
    used = (gpus * busy).sum(axis=1)[lambda known: known > 0]
    served = requests.sum(axis=1)[used.index].sum()
    if served:
        why = "requests over busy GPUs, alike for all types"
        rps = Stated(round(float(served / used.sum()), 6), why, "medium", "utilisation")
        for name, fields in draft.sections["gpus"].items():
            assert not isinstance(fields, Stated)
            draft.sections["gpus"][name] = {**fields, "rps": rps}


IMPORTER = Importer(read_prometheus, NAMES, TOKEN)
