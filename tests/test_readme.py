"""The README says what a run says."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from support import CHECKOUT, SHIPPED, remember


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("readme", CHECKOUT / "docs" / "readme.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _without_seconds(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\d+\.\d s\b", "N s", text))


def _objective(text: str) -> float:
    words = r"Cheapest plan (?:of the programme|found that survives): (\S+) M USD a year"
    found = re.search(words, re.sub(r"\s+", " ", text))
    assert found is not None
    return float(found[1])


def _survived(text: str) -> list[str]:
    return re.findall(r"\d+ of \d+(?= scenarios survived| \|)", text)


@pytest.mark.usefixtures("each_simulation_once", "each_sampling_once")
def test_pasted_output_and_comparison_are_those_of_a_run(tmp_path: Path) -> None:
    """Another solver may end with another plan of the same cost; the same one may not."""
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    script = _script()

    filled = script.filled(text, tmp_path)
    remember(SHIPPED, (tmp_path / "out" / "plan.json").read_text(encoding="utf-8"))

    assert _objective(filled) == pytest.approx(_objective(text), rel=2e-4)
    assert _survived(filled) == _survived(text)
    if script.block(text, "versions") == script.block(filled, "versions"):
        assert _without_seconds(filled) == _without_seconds(text)


def test_the_rule_of_thumb_of_the_small_model_is_that_of_a_run() -> None:
    """The other rows take minutes: ``tests/benchmarks/rule_of_thumb.py`` prints them all."""
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    spec = importlib.util.spec_from_file_location(
        "rule_of_thumb", CHECKOUT / "tests" / "benchmarks" / "rule_of_thumb.py"
    )
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    sys.modules["rule_of_thumb"] = script
    spec.loader.exec_module(script)

    printed = re.sub(r" \([\d,.]+\)", "", script.row("tiny", None, None))
    assert printed in text.splitlines()


@pytest.mark.parametrize("source", ["netbox", "kubernetes", "terraform", "prometheus"])
def test_what_an_import_prints_is_that_of_a_run(tmp_path: Path, source: str) -> None:
    text = (CHECKOUT / "docs" / f"imports-{source}.md").read_text(encoding="utf-8")
    assert _script().filled_imports(text, tmp_path) == text
