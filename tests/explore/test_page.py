"""The what-if page in a headless Chromium, served by the command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from reporting.browser import PROGRAM, chromium

from planner.infrastructure.loading import load_model

pytestmark = [
    # Found, not imported: that takes a second in every process that only collects this.
    pytest.mark.skipif(find_spec("panel") is None, reason="needs the extra `explore`"),
    pytest.mark.skipif(PROGRAM is None, reason="no chromium here: Debian's package has it"),
]
#: Milliseconds that a plan may take on a busy machine.
LONG = 60_000
#: Texts of all shadow trees whose contrast is below that of WCAG 2.1 level AA, and what is wider
#: than the page without scrolling in a box of its own.
FAULTS = """() => {
  const all = root => [...root.querySelectorAll("*")].flatMap(e => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);
  const up = e => e.parentElement || (e.getRootNode().host ?? null);
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const light = rgb => {
    const [r, g, b] = rgb.slice(0, 3).map(c => c / 255)
      .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = e => {
    for (; e; e = up(e)) {
      const found = parts(getComputedStyle(e).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const inBox = e => { for (; e; e = up(e)) if (e.matches(".scroll, svg, .skip, option")) return true; return false; };
  const seen = all(document.body).filter(e => e.checkVisibility({ checkOpacity: true }) && !inBox(e));
  const faint = seen.filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())).filter(e => {
    const [a, b] = [light(parts(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => x - y);
    return (b + 0.05) / (a + 0.05) < 4.5;
  });
  const wide = seen.filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1);
  return [...faint.map(e => "faint " + e.outerHTML.slice(0, 120)), ...wide.map(e => "wide " + e.outerHTML.slice(0, 120))];
}"""  # noqa: E501


@contextmanager
def served(folder: Path, *arguments: str) -> Iterator[str]:
    """Address of the page of the command, which ends well when it is told to."""
    command = [sys.executable, "-m", "planner", "explore", "--no-browser", "--json", "--quiet"]
    with subprocess.Popen(
        [*command, *arguments], cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            line = process.stdout.readline()
            assert line, "ended before it served anything"
            text += line
        try:
            yield json.loads(text)["address"]
        finally:
            process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
        assert process.wait(60) == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explore")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder, "tiny") as there:
        yield there


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


def opened(browser: Any, address: str, **context: Any) -> tuple[Any, list[str]]:
    """A window with the page once a plan is seen, and what it complained about or fetched."""
    page, complaints = browser.new_context(**context).new_page(), []
    page.set_default_timeout(LONG)
    page.on("pageerror", lambda one: complaints.append(f"error: {one}"))
    page.on("console", lambda one: one.type == "error" and complaints.append(one.text))
    host = address.partition("?")[0]
    page.on(
        "request",
        lambda one: (
            one.url.startswith((host, "blob:" + host, "data:")) or complaints.append(one.url)
        ),
    )
    page.goto(address)
    page.locator(".tiles").wait_for()
    return page, complaints


def test_without_the_token_nothing_is_shown(address: str) -> None:
    bare, _, token = address.partition("?token=")
    assert bare.startswith("http://127.0.0.1:")
    assert len(token) >= 24
    for url in (bare, f"{bare}?token=", f"{bare}?token={token[:-1]}", f"{bare}autoload.js"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url)
        with refused.value as error:
            assert error.code == 403


def test_a_slider_by_keyboard_changes_the_plan_which_is_kept_and_opened_again(
    browser: Any, address: str, folder: Path
) -> None:
    page, complaints = opened(browser, address, viewport={"width": 1280, "height": 900})
    assert page.locator("pre.command").inner_text() == "plan optimize tiny"
    before = page.locator(".tiles").inner_text()
    slider = page.get_by_role("slider", name="Demand of all zones")
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    changed = "plan optimize tiny --set 'zones.*.demand_rps=*1.1'"
    page.locator("pre.command", has_text=changed).wait_for()
    assert page.locator(".tiles").inner_text() != before
    page.get_by_text("Bought more or less").wait_for()
    page.get_by_label("Scenario", exact=True).select_option("region-east")
    page.get_by_text("Story of region-east").wait_for()
    assert page.locator("svg.curves polyline").count() >= 2
    page.locator(".status", has_text="Done in").wait_for()
    page.get_by_label("Name of the variant").fill("more-demand")
    page.get_by_role("button", name="Keep this variant").press("Enter")
    page.get_by_text("wrote more-demand").wait_for()
    kept = json.loads((folder / "more-demand" / "plan.json").read_text())
    assert kept["model"]["overrides"] == ["zones.*.demand_rps=*1.1"]
    page.get_by_role("button", name="Write it as a model file").press("Enter")
    page.get_by_text("wrote more-demand.yaml").wait_for()
    demand = {name: zone.demand_rps for name, zone in load_model("tiny").model.zones.items()}
    written = load_model(folder / "more-demand.yaml").model.zones
    assert {name: zone.demand_rps for name, zone in written.items()} == pytest.approx(
        {name: 1.1 * rps for name, rps in demand.items()}
    )
    page.get_by_role("button", name="Back to the model").click()
    page.locator("pre.command", has_not_text="--set").wait_for()
    assert slider.get_attribute("aria-valuenow") == "100.0"
    page.get_by_label("Variant", exact=True).select_option("more-demand")
    page.get_by_role("button", name="Show it").click()
    page.locator("pre.command", has_text=changed).wait_for()
    page.get_by_label("Other settings").fill("zones.nowhere.demand_rps=1")
    page.get_by_label("Other settings").blur()
    page.locator(".problems", has_text="`nowhere` is not among zones").wait_for()
    page.get_by_role("button", name="Back to the model").click()
    page.locator(".tiles").wait_for()
    assert complaints == []
    with served(folder, "more-demand") as there:
        again, complaints = opened(browser, there)
        assert again.locator("pre.command").inner_text() == changed
        moved = again.get_by_role("slider", name="Demand of all zones")
        assert moved.get_attribute("aria-valuenow") == "110.0"
        again.get_by_text("This is the baseline.").wait_for()
        assert complaints == []


def test_it_can_be_read_at_every_width_and_in_every_light(browser: Any, address: str) -> None:
    narrow, wide = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
    page, _ = opened(browser, address, viewport=narrow)
    controls = page.locator("details.controls")
    assert controls.get_attribute("open") is None
    controls.locator("summary").first.press("Enter")
    page.get_by_role("slider", name="Demand of all zones").wait_for()
    for size in (narrow, wide):
        page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(200)
            assert page.evaluate(FAULTS) == [], (size, scheme)
