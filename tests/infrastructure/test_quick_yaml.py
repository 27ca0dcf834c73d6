"""The quick reader says what the reader in Python says, with the same places, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infrastructure.test_fuzz import BOUNDED, JUNK, yaml_of
from support import CHECKOUT

from planner.errors import InputError
from planner.infrastructure import quick_yaml, source
from planner.infrastructure.loading import load_model
from planner.infrastructure.source import Document, parse_yaml

MODELS = sorted(Path(CHECKOUT).glob("models/*.yaml"))
#: Pieces of YAML that readers are known to differ in.
PIECES = st.sampled_from(
    ["a", "b:", "- ", ": ", ":", ", ", "{", "}", "[", "]", "\n", "\n  ", "\n    ", "#", " # c\n",
     "'", '"', "|\n", ">-\n", "|2\n", "?", "? ", "!!str ", "!", "&x ", "*x", "<<: ", "%", "---\n",
     "...\n", "~", "null", "yes", "True", "0o17", "017", "0x1f", "1_000", "1e3", "1.", ".5",
     "-0.0", "+1", "1:30", "2020-01-01", ".inf", "-.NaN", "=", "\t", "\r\n", "\x85", "\u2028",
     "é", "\\", "\\n"]
)  # fmt: skip


def read_slowly(content: bytes) -> Document | list[str]:
    """What the reader in Python says; the messages where it refuses."""
    source._parsed.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quick_yaml, "read", lambda *_: None)
        return read(content)


def read(content: bytes) -> Document | list[str]:
    source._parsed.cache_clear()
    try:
        return parse_yaml(content, "m.yaml")
    except InputError as error:
        return [str(problem) for problem in error.problems]


def exact(data: Any) -> Any:
    """Data with the type of every scalar, so that 1, 1.0 and True differ, and NaN equals itself."""
    if isinstance(data, dict):
        return {key: exact(value) for key, value in data.items()}
    return [exact(one) for one in data] if isinstance(data, list) else (type(data), repr(data))


def same(content: bytes) -> bool:
    """Whether both readers say the same; whether the quick one said anything."""
    one, other = read(content), read_slowly(content)
    if isinstance(one, list) or isinstance(other, list):
        assert one == other
        return False
    assert exact(one.data) == exact(other.data)
    assert one.places == other.places
    return True


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Whether the quick reader read each text."""
    real, read_it = quick_yaml.read, list[bool]()

    def noted(*arguments: Any) -> Any:
        found = real(*arguments)
        read_it.append(found is not None)
        return found

    monkeypatch.setattr(quick_yaml, "read", noted)
    return read_it


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_shipped_models_are_read_quickly_and_the_same(path: Path, quick: list[bool]) -> None:
    content = path.read_bytes()
    assert same(content)
    assert quick == [b": &" not in content]


@given(st.dictionaries(st.text(max_size=5), JUNK, max_size=4))
@BOUNDED
def test_any_data_is_read_the_same(data: dict[str, Any]) -> None:
    same(f"{yaml_of(data)}\n".encode())


@given(st.lists(PIECES, max_size=14))
@BOUNDED
def test_any_pieces_are_read_the_same(pieces: list[str]) -> None:
    same(f"a: 1\nb: {''.join(pieces)}\n".encode())


@given(st.data())
@BOUNDED
def test_a_model_with_a_changed_piece_is_read_the_same(data: st.DataObject) -> None:
    text = (Path(CHECKOUT) / "models" / "tiny.yaml").read_text(encoding="utf-8")
    at = data.draw(st.integers(0, len(text)))
    piece = data.draw(PIECES)
    same((text[:at] + piece + text[at + data.draw(st.integers(0, 3)) :]).encode())


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1\nb: *x\n",
        "a: !!str 1\n",
        "a: {b: 1, b: 2}\n",
        "%YAML 1.2\n---\na: 1\n",
        "a: 1\n---\nb: 2\n",
        "? [a]\n: 1\n",
        "base: {c: 1}\na: {<<: {c: 2}}\n",
        "a:\t1\n",
        "[1, 2]\n",
        "",
    ],
)
def test_what_is_unusual_is_left_to_the_reader_in_python(text: str, quick: list[bool]) -> None:
    same(text.encode())
    assert quick == [False]


def test_a_model_of_more_values_than_before_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "many.yaml"
    limits = "\n".join(f"    r{i}: {i + 1}.0" for i in range(120_000))
    path.write_text(f"extends: tiny\nnotes:\n  x:\n{limits}\n", encoding="utf-8")

    with pytest.raises(InputError, match="is not a field here"):
        load_model(path)
