"""``plan import prometheus``: a real Prometheus with series that are known."""

from __future__ import annotations

import json
import math
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from support import CHECKOUT

from planner.infrastructure.loading import load_model
from planner.scenarios.demand import zone_shape

SAVED = CHECKOUT / "tests" / "imports" / "prometheus"
#: Requests per second at the peak by zone and tier; retries and failures of each tier.
PEAKS = {("eu", "paid"): 300.0, ("eu", "free"): 100.0, ("us", "paid"): 500.0, ("us", "free"): 700.0}
RETRIES, FAILURES = {"paid": 6.0, "free": 2.0}, {"paid": 8.0, "free": 8.0}
GPUS = {("us-east-1", "NVIDIA H100 80GB HBM3"): 2, ("eu-west-1", "NVIDIA H200"): 1}
#: Samples are 30 minutes apart, so that the blocks are made quickly, and hold for as long.
EVERY_SECONDS, LOOKBACK = 1800, "35m"
#: The last whole hour, seconds since the epoch: up to which there are samples.
END = int(time.time()) // 3600 * 3600
#: When counters were zero, seconds since the epoch.
BEGAN = 1_700_000_000
QUERIES = {
    "requests": "zone_tier:requests:rate5m",
    "retries": "sum by (tier) (rate(client_retries_total[2h]))",
    "failures": "sum by (tier) (rate(client_failures_total[2h]))",
}
NAMES = [part for name, query in QUERIES.items() for part in ("--name", f"{name}={query}")]


def level(hour: int) -> float:
    """Share of the peak in an hour since the epoch: higher by day, lower at the week's end."""
    of_week = (hour + 72) % 168
    return (0.75 + 0.25 * math.sin((of_week % 24 - 6) / 24 * 2 * math.pi)) * (
        0.6 if of_week >= 120 else 1.0
    )


def openmetrics(start: int, end: int) -> str:
    """Samples as recording rules, counters and the DCGM exporter give."""
    times, lines = range(start, end + 1, EVERY_SECONDS), []
    lines.append("# TYPE zone_tier:requests:rate5m gauge")
    for (zone, tier), peak in PEAKS.items():
        labels = f'zone="{zone}",tier="{tier}"'
        lines += [
            f"zone_tier:requests:rate5m{{{labels}}} {peak * level(t // 3600)!r} {t}" for t in times
        ]
    for name, rates in (("client_retries", RETRIES), ("client_failures", FAILURES)):
        lines.append(f"# TYPE {name} counter")
        for tier, rate in rates.items():
            lines += [f'{name}_total{{tier="{tier}"}} {rate * (t - BEGAN)!r} {t}' for t in times]
    lines.append("# TYPE DCGM_FI_DEV_GPU_UTIL gauge")
    for (region, model), count in GPUS.items():
        for number in range(count):
            labels = f'region="{region}",modelName="{model}",gpu="{number}"'
            lines += [
                f"DCGM_FI_DEV_GPU_UTIL{{{labels}}} {80 * level(t // 3600)!r} {t}" for t in times
            ]
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Prometheus with the last eight days of the series."""
    if not (shutil.which("prometheus") and shutil.which("promtool")):
        pytest.skip("prometheus and promtool are not installed")
    folder = tmp_path_factory.mktemp("prometheus")
    # Every two hours are a block that is flushed to disk: each day is made beside the others.
    makers = []
    for start in range(END - 8 * 86_400, END, 86_400):
        series = folder / f"series-{start}"
        series.write_text(openmetrics(start, start + 86_400 - 1), encoding="utf-8")
        make = ["promtool", "tsdb", "create-blocks-from", "openmetrics", series, folder / "data"]
        makers.append(subprocess.Popen(make, stdout=subprocess.DEVNULL))
    assert [maker.wait() for maker in makers] == [0] * 8
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "prometheus.yml").write_text("global: {}\n", encoding="utf-8")
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=60d",
        f"--query.lookback-delta={LOOKBACK}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as found:
        try:
            _wait_for(f"{url}/-/ready")
            yield url
        finally:
            found.terminate()


def _wait_for(url: str) -> None:
    for _ in range(300):
        try:
            with urlopen(url) as answer:
                if answer.status == 200:
                    return
        except HTTPError as error:
            error.close()
        except OSError:
            pass
        time.sleep(0.1)
    pytest.fail("prometheus does not start")


def test_a_real_prometheus_gives_what_is_in_it(plan, server, tmp_path, monkeypatch):
    monkeypatch.setattr("planner.imports.prometheus.time", lambda: END + 100.0)
    path = tmp_path / "model.yaml"
    ran = plan("import", "prometheus", "--url", f"{server}/", *NAMES, "-o", path)
    assert ran.code == 0, ran.err
    assert "3 GPUs" in ran.out
    model = load_model(path).model
    assert {c.existing_gpus for c in model.clusters.values()} == {2, 1}
    assert all(g.power_mw == pytest.approx(0.001275) for g in model.gpus.values())
    hours = range(END // 3600 - 168, END // 3600)
    for zone in ("eu", "us"):
        of_week = {(hour + 72) % 168: wanted(zone, hour) for hour in hours}
        peak = max(of_week.values())
        assert model.zones[zone].demand_rps == pytest.approx(peak, rel=1e-6)
        shape = zone_shape(model, zone)
        for hour, value in of_week.items():
            assert shape[hour] == pytest.approx(value / peak, abs=1e-4)
    shares = {tier: tier_requests(tier, hours) for tier in ("paid", "free")}
    for tier, of_tier_ in shares.items():
        assert model.tiers[tier].share == pytest.approx(of_tier_ / sum(shares.values()), rel=1e-6)
    assert model.tiers["paid"].retry.gives_up == pytest.approx(1 - 6 / 8, abs=1e-6)
    assert model.tiers["free"].retry.gives_up == pytest.approx(1 - 2 / 8, abs=1e-6)
    # All three are 80 % busy at the peak, when 1,600 requests a second come.
    (rps,) = {gpu.rps for gpu in model.gpus.values()}
    assert rps == pytest.approx(1600 / (3 * 0.8), rel=1e-6)
    assert plan("check", path).code == 0


def wanted(zone: str, hour: int) -> float:
    """First attempts of a zone: each tier's retries are taken off in proportion."""
    return sum(
        PEAKS[zone, tier] * (level(hour) - RETRIES[tier] / of_tier(tier)) for tier in RETRIES
    )


def of_tier(tier: str) -> float:
    return sum(peak for (_, of), peak in PEAKS.items() if of == tier)


def tier_requests(tier: str, hours: range) -> float:
    return sum(of_tier(tier) * level(h) - RETRIES[tier] for h in hours)


def test_a_real_prometheus_says_what_is_wrong(plan, server, monkeypatch):
    ran = plan("import", "prometheus", "--url", server, "--name", "requests=sum(")
    assert (ran.code, ran.out) == (2, "")
    assert "answers 400" in ran.err
    assert "parse error" in ran.err
    ran = plan("import", "prometheus", "--url", server)
    assert "say --name requests=QUERY with --url" in ran.err
    ran = plan("import", "prometheus", "--url", server, "--name", "requests=nothing_of_this_name")
    assert "no requests" in ran.err
    monkeypatch.setenv("PROMETHEUS_TOKEN", "very\nsecret")
    ran = plan("import", "prometheus", "--url", server, *NAMES)
    assert "PROMETHEUS_TOKEN: is no token" in ran.err
    assert "secret" not in ran.err


def test_saved_answers_go_into_a_model(plan, tmp_path):
    """Answers of that Prometheus saved at a step of an hour."""
    mine = tmp_path / "mine.yaml"
    text = (CHECKOUT / "models" / "tiny.yaml").read_text(encoding="utf-8")
    mine.write_text(text, encoding="utf-8")
    demand = saved(tmp_path, gpus=None)
    ran = plan("import", "prometheus", demand, "--into", mine, "-o", tmp_path / "wrong.yaml")
    assert ran.code == 2
    # The tiers of both would be more than all requests.
    assert "the shares add up to 1.4981" in ran.err
    renamed = text.replace("business", "paid").replace("west-users", "us")
    mine.write_text(renamed.replace("east-users", "eu"), encoding="utf-8")
    after = tmp_path / "after.yaml"
    take = ("zones.*", "tiers.*.share", "tiers.*.retry")
    taken = [part for pattern in take for part in ("--take", pattern)]
    ran = plan("import", "prometheus", demand, "--into", mine, *taken, "-o", after)
    assert ran.code == 0, ran.err
    model = load_model(after).model
    assert model.zones["us"].demand_rps == pytest.approx(1193.75, rel=1e-3)
    assert model.zones["us"].latency_ms == {"west": 0.0, "east": 0.0}
    assert len(model.shapes[model.zones["us"].shape]) == 168
    assert model.tiers["free"].retry.gives_up == pytest.approx(0.75, abs=1e-3)
    again = plan("import", "prometheus", demand, "--into", after, *taken, "--json")
    assert again.json["merge"]["diff"] == ""


def saved(folder: Path, **changes: Any) -> Path:
    """The saved answers with some of them changed, or left out (None)."""
    copy = Path(shutil.copytree(SAVED, folder / "measured"))
    for name, change in changes.items():
        path = copy / f"{name}.json"
        if change is None:
            path.unlink()
            continue
        answer = json.loads(path.read_bytes())
        change(answer["data"]["result"])
        path.write_text(json.dumps(answer), encoding="utf-8")
    return copy


def cut(hours: slice) -> Any:
    def change(result):
        for series in result:
            series["values"] = series["values"][hours]

    return change


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"requests": None}, "no requests: save requests.json"),
        ({"requests": cut(slice(20))}, "requests: 20 hours have samples; expected those of a day"),
        ({"requests": cut(slice(0, None, 2))}, "requests: expected a step of at most an hour"),
        ({"gpus": None}, "says nothing of regions and GPUs; name the model"),
        (
            {"utilisation": lambda result: result[0]["values"].append([1e9, "80"])},
            "utilisation: 80 at 1000000000 s; expected a value from 0 to 1",
        ),
        (
            {"requests": lambda result: result[0]["values"].append([1e10, "1"])},
            "hours; expected at most 8,784",
        ),
        (
            {"requests": lambda result: result[0].update(values=[["x", "1"]])},
            "data.result.0.values.0.0: input should be a valid number",
        ),
    ],
)
def test_answers_that_are_refused(plan, tmp_path, changes, said):
    ran = plan("import", "prometheus", saved(tmp_path, **changes))
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_what_is_measured_in_part_is_told(plan, tmp_path):
    def odd(result):
        for series in result:
            del series["values"][60:64]
        del result[0]["values"][:100]

    ran = plan("import", "prometheus", saved(tmp_path, requests=odd, failures=None), "--json")
    texts = " ".join(finding["text"] for finding in ran.json["findings"])
    assert "4 hours of the week have no samples" in texts
    assert "a model has one share for all zones" in texts
    assert "needs `retries` and `failures`" in texts
    days = saved(tmp_path / "days", requests=cut(slice(30)))
    ran = plan("import", "prometheus", days, "--json", "-o", tmp_path / "days.yaml")
    assert "all days are alike" in " ".join(finding["text"] for finding in ran.json["findings"])
    assert len(load_model(tmp_path / "days.yaml").model.shapes["us-shape"]) == 24
