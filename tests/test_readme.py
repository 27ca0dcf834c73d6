"""The README says what a run says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

from support import CHECKOUT


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("readme", CHECKOUT / "docs" / "readme.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _without_seconds(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\d+\.\d s\b", "N s", text))


def test_pasted_output_and_comparison_are_those_of_a_run(tmp_path: Path) -> None:
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")

    filled = _script().filled(text, tmp_path)

    assert _without_seconds(filled) == _without_seconds(text)
