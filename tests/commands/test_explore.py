"""`plan explore`: what it refuses before it serves anything. `tests/explore` has the page."""

from __future__ import annotations

import socket
import sys

import pytest


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["no-such-model"], "no such file or shipped model"),
        (["tiny", "--set", "zones.nowhere.demand_rps=1"], "`nowhere` is not among zones"),
        (["tiny", "-o", "/dev/null/below"], "cannot be written"),
        (["nothing/plan.json"], "nothing/plan.json"),
        (["tiny", "--port", "70000"], "70000"),
    ],
)
def test_wrong_input_is_said_at_once(plan, arguments, told) -> None:
    ran = plan("explore", *arguments, "--no-browser")
    assert ran.code == 2
    assert told in ran.err
    assert ran.out == ""


def test_a_port_that_is_taken_is_refused(plan) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = plan("explore", "tiny", "--no-browser", "--port", str(port))
    assert ran.code == 2
    assert f"port {port} cannot be used" in ran.err


def test_without_the_extra_it_is_named(plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "panel", None)
    ran = plan("explore", "tiny", "--no-browser")
    assert ran.code == 2
    assert "Panel, which is not installed: pip install 'resilience-planner[explore]'" in ran.err
