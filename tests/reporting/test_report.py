"""The report: one page that needs nothing else, whatever stands in the model."""

from __future__ import annotations

import base64
import doctest
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reporting.browser import FAINT, PROGRAM, WIDER, Opened, chromium, open_page, until
from support import restated

from planner.amounts import millions
from planner.analysis.explanation import DecisionNote, Explanation, describe
from planner.analysis.marginal import Difference, Removal, Worth
from planner.analysis.what_if import Tightness
from planner.commands import main
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.programme import Row as ProgrammeRow
from planner.optimization.infeasibility.shortfalls import Shortfall
from planner.optimization.solution.decisions import Decision
from planner.reporting.html import page as page_module
from planner.reporting.html import timelines
from planner.reporting.html.places import world_map
from planner.reporting.html.reasons import reasons
from planner.reporting.html.scenarios import grouped, worst_first, worst_hours
from planner.reporting.html.timelines import Played, Simulated, thinned
from planner.simulation.verdict import Breach, Verdict

ATTACK = "</script><script>window.pwned=1</script><img src=x onerror='window.pwned=1'>"
#: Two regions on the map whose texts try to break out of the page; few failures, soon simulated.
MODEL = f"""\
extends: tiny
description: "{ATTACK}"
regions:
  west: {{city: "{ATTACK}", latitude: 37.4, longitude: -121.9}}
  east: {{city: "<b>East</b> & more", latitude: 39.1, longitude: -77.5}}
offers:
  cloud: {{instance: "{ATTACK}"}}
tiers:
  business: {{sla: 0.5}}
  free: {{sla: 0.999999}}
cooling_units:
  chiller-1.75: {{from: chiller-1.75}}
generators:
  unit: null
  units: null
  heat_wave: null
  surge: null
  region: {{severity: region, frequency_per_year: 0.05, repair_hours: 1.0}}
  provider: {{severity: single, frequency_per_year: 0.05, repair_hours: 1.0}}
simulation: {{horizon_minutes: 100}}
"""
SCENARIOS = {"region-west", "region-east", "provider-cloudy"}
VOID = {"meta", "link", "input", "br", "img", "circle", "polygon"}


def _run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a hostile model, its plan, and that plan without its new GPUs."""
    place = tmp_path_factory.mktemp("report")
    (place / "hostile.yaml").write_text(MODEL, encoding="utf-8")
    assert _run("optimize", place / "hostile.yaml", "-q", "--json", "-o", place) == 0
    weak = json.loads((place / "plan.json").read_text())
    for line in weak["gpus"]:
        line |= {"added": 0, "total": line["existing"]}
    weak["repairs"] = [ATTACK]
    weak["solver"]["name"] = ATTACK
    (place / "weak.json").write_text(json.dumps(restated(weak)))
    return place


@pytest.fixture(scope="session")
def report(folder: Path) -> Path:
    """The page of the weak plan, with returns and risk."""
    path = folder / "report.html"
    arguments = ("report", folder / "weak.json", folder / "hostile.yaml", "-o", path)
    assert _run(*arguments, "-q", "--samples", 10) == 0
    return path


# --------------------------------------------------------------------------------- without browser


@dataclass
class Tags(HTMLParser):
    """Elements of a page in order, with a check that they close as they open."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in VOID or self.open.pop() == tag, f"{tag} closes nothing"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"script", "style"}:
            self.text.append(data)

    def all(self, *tags: str) -> Iterator[dict[str, str | None]]:
        return (attrs for tag, attrs in self.elements if tag in tags)


@pytest.fixture(scope="session")
def parsed(report: Path) -> Tags:
    """The page as a list of elements."""
    tags = Tags()
    tags.feed(report.read_text(encoding="utf-8"))
    assert tags.open == []
    return tags


def _data(path: Path) -> Any:
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', path.read_text("utf-8"), re.S
    )
    assert found
    return json.loads(found[1])


def test_the_page_holds_every_scenario_and_section(parsed: Tags) -> None:
    named = {attrs["data-name"] for attrs in parsed.all("li") if "data-name" in attrs}
    sections = {attrs["id"] for attrs in parsed.all("section")}

    assert named == SCENARIOS
    assert sections == {
        *("decision", "buy", "places", "scenarios", "cost"),
        *("returns", "binds", "assumptions", "proof"),
    }
    text = " ".join(parsed.text)
    assert "chiller-1.75" in text
    assert "rounds" in text.lower()


def test_every_scenario_says_in_words_how_it_ends_on_the_plan(parsed: Tags) -> None:
    text = " ".join(parsed.text)
    assert "True" not in text
    assert {"✓ survives", "✗ fails"} <= set(parsed.text)


def test_the_page_requests_nothing_from_the_network(parsed: Tags, report: Path) -> None:
    for attrs in parsed.all(*{tag for tag, _ in parsed.elements}):
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert (attrs.get(name) or "#").startswith(("#", "data:")), attrs
        assert not [name for name in attrs if name.startswith("on")]
    style = re.search(r"<style>(.*?)</style>", report.read_text("utf-8"), re.S)
    assert style
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    assert report.stat().st_size < 6_000_000


def test_only_scripts_named_by_hash_may_run(parsed: Tags, report: Path) -> None:
    (policy,) = (
        attrs["content"] or ""
        for attrs in parsed.all("meta")
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    scripts = re.findall(r"<script>(.*?)</script>", report.read_text("utf-8"), re.S)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]

    assert len(scripts) == 2
    assert "default-src 'none'" in policy
    rule = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert rule.split()[1:] == [f"'sha256-{digest}'" for digest in digests]


def test_headings_are_nested_and_tables_and_pictures_have_names(parsed: Tags) -> None:
    levels = [int(tag[1]) for tag, _ in parsed.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(attrs.get("aria-label") for attrs in parsed.all("table"))
    assert all(attrs.get("scope") in ("col", "row") for attrs in parsed.all("th"))
    ids = [attrs["id"] for _, attrs in parsed.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for name in ("aria-labelledby", "aria-controls", "for"):
        assert {attrs[name] for _, attrs in parsed.elements if name in attrs} <= set(ids)
    assert all(
        attrs.get("aria-label") for _, attrs in parsed.elements if attrs.get("role") == "img"
    )


def test_markup_in_texts_of_model_and_plan_stays_text(parsed: Tags) -> None:
    assert not list(parsed.all("img"))
    text = "".join(parsed.text)
    assert text.count(ATTACK) == 4  # description, city, solver, repair
    assert "<b>East</b> & more" in text


def test_the_page_says_where_simulation_and_plan_differ(parsed: Tags) -> None:
    text = " ".join(parsed.text)
    assert "fails some scenarios" in text
    assert "another outcome: region-west" in text


def test_steps_lead_from_today_to_the_cost_of_the_plan(folder: Path, report: Path) -> None:
    stated = json.loads((folder / "plan.json").read_text())["objective_usd_per_year"] / 1e6
    steps = _data(report)["steps"]

    assert steps[0]["total"]
    assert steps[-1]["total"]
    assert steps[-1]["usd"] == pytest.approx(stated, abs=1e-3)
    assert sum(step["usd"] for step in steps[:-1]) == pytest.approx(stated, abs=0.01)


def test_cost_of_a_year_stands_beside_what_today_costs(parsed: Tags, folder: Path) -> None:
    cost = json.loads((folder / "weak.json").read_text())["cost"]
    text = " ".join(parsed.text)
    assert {"capital", "a year today", "with plan", "more"} <= set(parsed.text)
    assert millions(cost["existing_usd_per_year"]) in text
    assert millions(cost["usd_per_year"] - cost["existing_usd_per_year"], sign="+") in text


def test_an_sla_missed_whatever_the_sampling_error_is_said_in_a_sentence(parsed: Tags) -> None:
    text = " ".join(parsed.text)
    assert "free misses its SLA of 99.9999 % with the plan" in text
    assert "business misses its SLA" not in text


def test_a_summary_for_machines_counts_scenarios_and_bytes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also: where there is no room scenarios are only listed, and beyond some only named."""
    monkeypatch.setattr(page_module, "PAGE_BYTES", 1)
    monkeypatch.setattr(page_module, "MOST_ROWS", 2)
    target = folder / "small.html"
    arguments = ("report", folder, folder / "hostile.yaml", "-o", target, "--no-finance")

    assert _run(*arguments, "--json", "-q") == 0

    out, err = capsys.readouterr()
    said = json.loads(out)
    assert err == ""
    assert said["scenarios"] == 3
    assert said["judged"] == said["survived"] == 2
    assert (said["not_judged"], said["not_applicable"]) == (0, 1)
    assert not said["finance"]
    assert said["bytes"] == target.stat().st_size
    html = target.read_text("utf-8")
    assert _data(target)["scenarios"] == {}
    assert 'class="open"' not in html
    assert "1 more scenario" in html
    assert all(name in html for name in SCENARIOS)


def test_bad_input_is_refused_before_long_work(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cases: list[tuple[tuple[object, ...], str]] = [
        (("--samples", 5), "--samples: expected 0 or at least 10"),
        (("-o", tmp_path), "is a folder"),
        (("-o", tmp_path / "x.pdf"), "expected a name that ends in .html, not `.pdf`"),
        (("-o", tmp_path / f"{'x' * 300}.html"), "cannot be written: File name too long"),
        (("-o", tmp_path / "none" / "x.html"), "is not a writable folder"),
        (("--set", "policies.nothing=1", "-o", tmp_path / "x.html"), "nothing"),
    ]
    for arguments, message in cases:
        assert _run("report", folder, folder / "hostile.yaml", *arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert message in err
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert _run("report", folder, folder / "hostile.yaml", "-o", tmp_path / "x.html") == 2
    assert "needs Jinja2, which is not installed" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=80), st.floats(1e-3, 1e3))
def test_thinned_curves_miss_no_value(values: list[float], tolerance: float) -> None:
    array = np.array(values)
    kept = thinned(array, tolerance)

    assert kept[0] == 0
    assert kept[-1] == len(array) - 1
    drawn = np.interp(np.arange(len(array)), kept, array[kept])
    assert np.abs(drawn - array).max() <= tolerance * (1 + 1e-9) + 1e-9


def test_map_needs_the_place_of_every_region() -> None:
    row = {"name": "a", "latitude": 50.0, "longitude": 8.0, "gpus_before": 0, "gpus_after": 5}
    found = world_map([row])

    assert found is not None
    (point,) = found["points"]
    assert 0 < point["x"] < found["width"]
    assert 0 < point["y"] < found["height"]
    assert world_map([row, row | {"latitude": None}]) is None


def test_the_thinning_of_curves_does_what_its_example_says() -> None:
    result = doctest.testmod(timelines)
    assert result.attempted > 0
    assert result.failed == 0


def test_an_explanation_says_what_the_last_purchase_is_worth() -> None:
    fails = (Shortfall("served", "business", "region-west", 3.0, "requests/s", 15.0),)
    note = DecisionNote(
        *(Decision("gpus", "east-gpus"), 7, 1e6, fails, None, (), ()),
        *(Worth(Difference(2e6, 1e6, 3e6)), None, 0.0),
    )
    idle = replace(note, bought=0)
    pays = replace(note, fails=(), earns_usd=5e5, last=Worth(None, "indispensable"))
    removal = Removal(("region-west",), Difference(4e6, -1.0, 5e6), 1e6, {})
    explanation = _explanation(decisions=(note, idle, pays), scenarios=(removal,))

    found = reasons(explanation)

    purchases, worth, scenarios, _ = (table.texts() for table in found.tables)
    assert [texts[1] for texts in purchases] == ["+7", "+7"]
    assert describe(fails[0]) in purchases[0][2]
    assert purchases[1][2].startswith("nothing fails; it pays: 500,000 USD a year")
    assert [texts[3] for texts in worth] == ["2.000", "", "no plan"]
    assert scenarios == [["region-west", "<5.000", "1.000", "<4.000"]]
    assert "2 more questions not asked" in found.effort


def test_binding_constraints_stand_by_shadow_price_and_without_a_column_of_zeros() -> None:
    row = ProgrammeRow(Family.DESIGN_HEAT, "west-gpus", "", 5.0)
    loose, dear = Tightness(row, 0.4, 0.0), Tightness(replace(row, subject="east-gpus"), 0.0, 7e4)

    priced = reasons(_explanation(binding=(loose, dear))).binding
    free = reasons(_explanation(binding=(loose,))).binding

    assert [texts[1:] for texts in priced.texts()] == [["none", "70,000"], ["0.4 MW", ""]]
    assert "east-gpus" in priced.texts()[0][0]
    assert "USD a unit" not in free.html()


def _explanation(**parts: Any) -> Explanation:
    names = ("decisions", "scenarios", "silent", "covered", "unasked", "requirements", "binding")
    nothing = {"all_together": None, "idle_together": None, "power": {}, "first_round": None}
    return Explanation(
        1.0, 1.0, True, **(dict.fromkeys(names, ()) | nothing | parts), solves=3, solves_wanted=5
    )


def test_marks_and_colours_of_cells_say_the_same(report: Path) -> None:
    cells = re.findall(r'<td class="([^"]*)"[^>]*>([^<]*)</td>', report.read_text("utf-8"))
    colours = {"✓": {"met", "yes", "good"}, "✗": {"missed", "no", "bad"}}
    marked = 0
    for mark, classes in colours.items():
        for names, text in cells:
            coloured = bool(classes & set(names.split()))
            assert coloured == (mark in text), (names, text)
            marked += coloured
    assert marked >= 6


def test_failures_stand_first_and_scenarios_that_end_alike_share_a_row() -> None:
    fails = _verdict("region-a", "fails", 0.2)
    alike = [_verdict(f"unit-{n}", "survives", 1.0, 1.0) for n in range(3)]
    absent = _verdict("region-b", "not applicable", 1.0)
    verdicts = (absent, *alike, fails)
    simulated = Simulated(tuple(_played(verdict) for verdict in verdicts), verdicts)

    rows = grouped(simulated, range(len(verdicts)))

    names = [[member["name"] for member in row["members"]] for row in rows]
    assert names == [["region-a"], ["unit-0", "unit-1", "unit-2"], ["region-b"]]
    assert [row["outcome"] for row in rows] == ["no", "yes", "none"]
    assert rows[1]["often"] == "3 a year together"
    assert rows[2]["cells"] == []


def test_hours_of_a_failure_unfold_from_its_worst() -> None:
    names = ("surge@Mon-06", "surge@Mon-07", "surge@Tue-06-Jul-04")
    verdicts = (
        _verdict(names[0], "survives", 1.0, 1.0),
        _verdict(names[1], "survives", 0.9, 2.0),
        _verdict(names[2], "fails", 0.2, 3.0),
        _verdict("unit", "survives", 0.95),
    )
    today = (*verdicts[:2], _verdict(names[2], "survives", 1.0), verdicts[3])
    played = tuple(_played(verdict) for verdict in verdicts)

    rows = grouped(Simulated(played, today), range(len(verdicts)))

    members = [member for row in rows for member in row["members"]]
    assert [member["name"] for member in members] == [names[2], "unit"]
    hours = [(hour["label"], hour["end"]) for hour in members[0]["hours"]]
    assert hours == [("Mon-07", "✓"), ("Mon-06", "✓")]
    assert rows[0]["told_today"] == "✓ 90.0 %"
    assert rows[0]["often"] == "6 a year"
    # What can be opened: the worst hour of each failure first.
    assert worst_first(played) == [2, 3, 1, 0]
    folded = [(verdict.name, hours) for verdict, hours in worst_hours(verdicts)]
    assert folded == [(names[0], 3), ("unit", 1)]


def _verdict(name: str, status: Any, served: float, times: float = 0.0) -> Verdict:
    breach = Breach("served", "free", 5.0, 60.0, 0.2, 0.9, 0.7)
    return Verdict(
        name=name,
        severity="single",
        frequency_per_year=times,
        status=status,
        breaches=(breach,) if status == "fails" else (),
        recovery_minutes=0.0,
        lost_requests=0.0,
        peak_temperature_c=65.0,
        shutdowns=(),
        throttled_minutes=0,
        peak_queue_requests=0.0,
        emergency_usd=0.0,
        served={"free": served},
        served_by_zone={},
        impact={},
        retry_ratio=1.0,
        alerts=(),
        story=(),
    )


def _played(verdict: Verdict) -> Played:
    return cast(Played, SimpleNamespace(verdict=verdict))


# ------------------------------------------------------------------------------------- in Chromium

NAMES = """() => [...document.querySelectorAll('#matrix [data-name]')]
    .filter(e => !e.closest('[hidden]')).map(e => e.dataset.name)"""
#: Tables that are wider than their box and do not say so, or the other way round.
HINTS = """() => [...document.querySelectorAll('.scroll')].filter(e => e.checkVisibility())
    .filter(e => e.classList.contains('wider') !== (e.scrollWidth > e.clientWidth + 1))
    .map(e => e.getAttribute('aria-label'))"""
#: What paper may part from what it stands over, or cut in two.
WIDOWED = """() => [
    ...[...document.querySelectorAll('h2, h3, h4, figcaption')]
        .filter(e => getComputedStyle(e).breakAfter !== 'avoid'),
    ...[...document.querySelectorAll('.chart, .map, .card, tr')]
        .filter(e => getComputedStyle(e).breakInside !== 'avoid'),
].map(e => e.outerHTML.slice(0, 80))"""
SHOWN = f"() => ({NAMES})().length"


@pytest.fixture(scope="module")
def opened(report: Path) -> Iterator[Opened]:
    """The page in Chromium, read once for all tests here."""
    with chromium() as browser:
        yield open_page(browser, report, viewport={"width": 1280, "height": 900})


@pytest.mark.skipif(PROGRAM is None, reason="no chromium here: Debian's package has it")
class TestInChromium:
    """What people do with the page."""

    def test_a_scenario_opens_by_keyboard_with_its_charts(self, opened: Opened) -> None:
        page = opened.page
        button = page.locator("button.open", has_text="region-west")
        button.focus()
        page.keyboard.press("Enter")
        article = page.locator("article.told:visible")
        assert article.count() == 1
        assert article.locator("h3").evaluate("e => e === document.activeElement")
        assert button.get_attribute("aria-expanded") == "true"
        assert article.locator("svg.main-svg").count() >= 4
        assert article.locator(".scatterlayer .trace").count() >= 5
        article.locator("summary").first.press("Enter")
        article.locator(".figures table tbody tr").nth(2).wait_for()
        article.locator("button.close").press("Enter")
        assert article.count() == 0
        assert button.evaluate("e => e === document.activeElement")

    def test_charts_of_cost_and_risk_are_drawn_when_seen(self, opened: Opened) -> None:
        page = opened.page
        for name in ("c-steps", "c-years", "c-cash", "c-exceedance", "c-swings"):
            page.evaluate(f"document.getElementById('{name}').scrollIntoView()")
            page.locator(f"#{name} svg.main-svg").first.wait_for()

    def test_the_scenario_table_filters_and_orders(self, opened: Opened) -> None:
        page = opened.page
        page.fill("#f-text", "REGION")
        assert page.evaluate(SHOWN) == 2
        assert page.inner_text("#f-count") == "2 of 3 scenarios"
        page.fill("#f-text", "o")
        # Nothing is reserved with the provider, so its loss does not apply to the plan.
        for outcome, name in (
            ("no", "region-west"),
            ("yes", "region-east"),
            ("none", "provider-cloudy"),
        ):
            page.select_option("#f-survives", outcome)
            assert page.evaluate(NAMES) == [name]
        page.click("button[type=reset]")
        until(page, f"({SHOWN})() === 3")
        page.uncheck("input[value=region]")
        assert page.evaluate(SHOWN) == 1
        page.select_option("#f-order", "least")
        assert page.locator("#matrix li").first.get_attribute("data-name") == "region-west"
        page.click("button[type=reset]")
        until(page, f"({SHOWN})() === 3")

    def test_nothing_is_cut_on_a_narrow_page_or_parted_on_paper(self, opened: Opened) -> None:
        page = opened.page
        background = "getComputedStyle(document.body).backgroundColor"
        page.emulate_media(color_scheme="dark")
        page.locator("button.open").first.click()
        page.locator("article.told:visible svg.main-svg").first.wait_for()
        for width in (390, 360):
            page.set_viewport_size({"width": width, "height": 700})
            until(page, f"document.documentElement.scrollWidth <= {width}")
            until(page, f"({WIDER})().length === 0")
        assert page.evaluate(HINTS) == []
        assert page.evaluate(background) == "rgb(20, 23, 26)"
        page.emulate_media(media="print", color_scheme="dark")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator(".filters").is_hidden()
        assert page.locator("article.told:visible").count() == 1
        assert page.evaluate(background) == "rgb(255, 255, 255)"
        chart = page.locator("article.told:visible svg.main-svg").first
        assert chart.get_attribute("width") == "660"
        assert page.evaluate(WIDOWED) == []

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_texts_stand_out_from_what_is_behind_them(self, opened: Opened, scheme: Any) -> None:
        opened.page.emulate_media(media="screen", color_scheme=scheme)
        assert opened.page.evaluate(FAINT) == []

    def test_the_page_logged_nothing_and_requested_nothing(self, opened: Opened) -> None:
        """Last: whatever the tests before have done."""
        assert opened.complaints == []
        assert opened.requests == []
        assert opened.page.evaluate("window.pwned") is None
