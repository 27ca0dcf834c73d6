"""What somebody meets in the first hour: examples, completion, hints, progress, any terminal."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass
from itertools import takewhile

import pytest
from click.testing import CliRunner

from planner.commands import COMMANDS, cli, completion, main
from planner.commands.options import complete_models
from planner.commands.progress import Progress, plan_line, settings_of
from planner.infrastructure.catalogue import data_directory, shipped_models
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import load_model
from planner.scenarios.generators import all_scenarios
from planner.simulation.verdict import judge

#: Commands whose examples take too long to be run here, serve, or ask a server; their own
#: tests run what they do.
LONG = {"alternatives", "check-plan", "compare", "explain", "finance", "frontier", "graph"}
LONG |= {"explore", "import", "replay", "report", "roadmap"}
#: Simulate three hours only.
SHORT = ["--set", "simulation.horizon_minutes=180"]
EXAMPLE = re.compile(r"^ +(plan .*?)(?: {2,}.*)?$", re.MULTILINE)


def examples_of(text: str) -> list[list[str]]:
    """Words of the examples in a help, without what a shell does with the output."""
    found = [shlex.split(line) for line in EXAMPLE.findall(text)]
    return [list(takewhile(lambda word: word not in (">", ">>"), words))[1:] for words in found]


@pytest.fixture(scope="module")
def short_plan(tmp_path_factory):
    """Folder with a plan for three hours of the shipped two-region model."""
    path = tmp_path_factory.mktemp("plan") / "out"
    with pytest.raises(SystemExit) as caught:
        main(["optimize", "tiny", *SHORT, "--quiet", "-o", str(path)])
    assert caught.value.code == 0
    return path


@pytest.fixture(scope="module")
def short_years(tmp_path_factory):
    """Folder with a model of two years, and in `years` its roadmap."""
    path = tmp_path_factory.mktemp("years")
    years = "extends: tiny\nhorizon: {start: 2026-01, period: year, periods: 2}\n"
    (path / "years.yaml").write_text(years, encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        main(["roadmap", str(path / "years.yaml"), *SHORT, "--quiet", "-o", str(path / "years")])
    assert caught.value.code == 0
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch, short_plan, export):
    """A folder with the files that the examples name."""
    text = (data_directory("models") / "tiny.yaml").read_text(encoding="utf-8")
    text += "\nsimulation: {horizon_minutes: 180}\n"
    (tmp_path / "my-model.yaml").write_text(text, encoding="utf-8")
    for name in ("out", "before", "after"):
        shutil.copytree(short_plan, tmp_path / name)
    shutil.copytree(export, tmp_path / "export")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---------------------------------------------------------------------------------------- examples


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("command", COMMANDS)
def test_every_example_of_every_help_works(plan, command, request):
    found = [words for words in examples_of(plan(command, "--help").out) if words[0] == command]
    assert 2 <= len(found) <= 7
    for words in found:
        cli.get_command(None, command).make_context(command, words[1:])
    if command == "verify":
        shutil.copytree(request.getfixturevalue("short_years"), ".", dirs_exist_ok=True)
    if command == "calibrate":
        assert plan("new", "--incident", "my-incident", "-q").code == 0
    if command not in LONG:
        for words in found:
            small = ["tiny" if word == "chatgpt-2023" else word for word in words]
            ran = plan(*small, "-q", *(SHORT if command in ("optimize", "simulate") else ()))
            assert ran.code in (0, 4), f"{words}: {ran.err}"


@pytest.mark.usefixtures("folder")
def test_examples_of_the_first_page_are_understood(plan):
    found = examples_of(plan().out)
    assert len(found) >= 12
    for command, *words in found:
        cli.get_command(None, command).make_context(command, words)


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_is_plain_and_narrow(plan, command):
    out = plan(*([] if command is None else [command]), "--help").out
    assert out.isascii()
    assert max(map(len, out.splitlines())) <= 80


# -------------------------------------------------------------------------------------- completion


def completed(*words: str) -> list[str]:
    """What bash is offered for the last word."""
    environment = {
        "_PLAN_COMPLETE": "bash_complete",
        "COMP_WORDS": shlex.join(["plan", *words]),
        "COMP_CWORD": str(len(words)),
    }
    ran = CliRunner().invoke(cli, env=environment, prog_name="plan")
    return [line.split(",")[1] for line in ran.output.splitlines()]


def test_completes_commands_options_and_models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chat.yaml").touch()
    assert completed("opt") == ["optimize"]
    assert completed("--v") == ["--version"]
    assert completed("optimize", "--time") == ["--time-limit"]
    shipped = [name for name in shipped_models() if name.startswith("chat")]
    assert len(shipped) >= 3
    assert completed("simulate", "chat") == [*shipped, "chat.yaml"]
    assert completed("completion", "z") == ["zsh"]
    (files,) = complete_models(None, None, "nothing-like-it")
    assert (files.type, files.value) == ("file", "nothing-like-it")


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_prints_a_script_that_the_shell_reads(plan, shell):
    ran = plan("completion", shell)
    assert (ran.code, ran.err) == (0, "")
    assert f"_PLAN_COMPLETE={shell}_complete" in ran.out
    if shutil.which(shell):
        checked = subprocess.run(
            [shell, "-n"], input=ran.out, text=True, capture_output=True, check=False, timeout=20
        )
        assert (checked.returncode, checked.stderr) == (0, "")


def test_an_unknown_shell_is_refused(plan):
    assert plan("completion", "tcsh").code == 2


# ----------------------------------------------------------------------------- hints and progress


class Stream(io.TextIOWrapper):
    """A stream of any encoding, on a terminal or not."""

    def __init__(self, encoding: str = "utf-8", terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    @property
    def text(self) -> str:
        """What was written."""
        return self.buffer.getvalue().decode(self.encoding)


@dataclass(frozen=True)
class Seen:
    """What somebody sees."""

    code: int
    out: str
    err: str


@pytest.fixture
def seen(monkeypatch, each_simulation_once):  # noqa: ARG001
    """Run ``plan`` with standard output and error of any kind."""

    def run(*arguments, encoding="utf-8", terminal=False, **environment) -> Seen:
        out, err = Stream(encoding, terminal), Stream(encoding, terminal)
        with monkeypatch.context() as patch:
            for name in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLORTERM"):
                patch.delenv(name, raising=False)
            for name, value in ({"COLUMNS": "80", "TERM": "xterm"} | environment).items():
                patch.setenv(name, value)
            patch.setattr("sys.stdout", out)
            patch.setattr("sys.stderr", err)
            with pytest.raises(SystemExit) as caught:
                main([str(argument) for argument in arguments])
        return Seen(caught.value.code, out.text, err.text)

    return run


@pytest.mark.usefixtures("folder")
def test_next_steps_are_suggested_on_a_terminal_only(seen):
    told = seen("optimize", "my-model.yaml", "-o", "new out", terminal=True)
    assert told.code == 0
    assert told.err.endswith(
        "Next:\n  plan explain 'new out'\n"
        "  plan report 'new out' -o report.html\n"
        "  plan finance --plan 'new out'\n"
    )
    for arguments in (["-q"], ["--json"]):
        assert "Next:" not in seen("check", "my-model.yaml", *arguments, terminal=True).err
    assert "Next:" not in seen("check", "my-model.yaml").err
    check = seen("check", "my-model.yaml", "--set", "finance.discount_rate=0.1", terminal=True)
    line = "plan simulate my-model.yaml --set finance.discount_rate=0.1"
    assert line in check.err
    assert seen(*shlex.split(line)[1:]).code == 4
    simulated = seen("simulate", "my-model.yaml", terminal=True)
    assert "the same with --scenario unit-west-chillers tells its story" in simulated.err
    assert "Next:" not in simulated.out


def test_input_errors_refer_to_the_schema_on_a_terminal(seen, folder):
    (folder / "my-model.yaml").write_text("extends: tiny\nregion: {}\n", encoding="utf-8")
    assert "plan schema" in seen("check", "my-model.yaml", terminal=True).err
    assert "plan schema" not in seen("check", "my-model.yaml").err
    assert "plan schema" not in seen("check", "nowhere", terminal=True).err


def test_suggested_commands_are_quoted():
    assert plan_line("check", "my model.yaml", *settings_of(["a.b=c d"])) == (
        "plan check 'my model.yaml' --set 'a.b=c d'"
    )


@pytest.mark.parametrize(
    ("terminal", "quiet", "term", "shown"),
    [
        (True, False, "xterm", True),
        (True, True, "xterm", False),
        (True, False, "dumb", False),
        (False, False, "xterm", False),
    ],
)
def test_status_line_only_on_a_terminal(monkeypatch, terminal, quiet, term, shown):
    err = Stream(terminal=terminal)
    monkeypatch.setattr("sys.stderr", err)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("planner.commands.progress.PATIENCE", 0.0)
    monkeypatch.setattr("planner.commands.progress.BEAT", 0.001)
    progress = Progress(quiet)
    progress.say("round 1: solving")
    with progress.working():
        deadline = time.monotonic() + 10
        while shown and "for 0 s" not in err.text and time.monotonic() < deadline:
            time.sleep(0.001)
    assert ("for 0 s: round 1: solving" in err.text) == shown
    assert ("\x1b[K" in err.text) == shown
    # The line is cleared in the end, and every other line stays whole.
    assert not shown or err.text.endswith("\r\x1b[K")
    assert ("round 1: solving\n" in err.text) != quiet


def test_progress_estimates_the_remaining_time():
    progress = Progress(quiet=True)
    progress.say("simulating")
    start = progress.started
    assert progress.status(start + 5) == "[   5.0 s] for 5 s: simulating"
    assert "at most 15 s left" in progress.status(start + 5, start + 20)
    progress.part(0, 40)
    begun = time.monotonic()
    progress.part(10, 40)
    left = re.search(r"about (\d+) s left", progress.status(begun + 20, start + 21))
    assert 55 <= int(left[1]) <= 65
    assert progress.done == 10


def test_simulation_reports_its_progress(monkeypatch):
    tiny = load_model("tiny", tuple(SHORT[1:]))
    monkeypatch.setattr("planner.simulation.verdict.batch_size", lambda *_: 2)
    scenarios = all_scenarios(tiny.model)[:3]
    told: list[tuple[int, int]] = []
    fleet = Fleet.existing(tiny.model)
    verdicts = judge(
        tiny.model,
        fleet,
        scenarios,
        stories=False,
        on_part=lambda done, of: told.append((done, of)),
    )
    assert [verdict.name for verdict in verdicts] == [scenario.name for scenario in scenarios]
    assert told == [(0, 3), (2, 3), (3, 3)]
    assert judge(tiny.model, fleet, (), on_part=lambda *_: None) == ()


# ---------------------------------------------------------------------------------------- terminals

RUNS = {
    "help": ["--help"],
    "optimize": ["optimize", "my-model.yaml"],
    "thumb": ["optimize", "my-model.yaml", "--method", "rule-of-thumb"],
    "infeasible": ["optimize", "tiny", "--only", "surge", "--set", "regions.west.power_limit_mw=1"],
    "simulate": ["simulate", "my-model.yaml", "--scenario", "region-west"],
    "explain": ["explain", "out", "--solves", "3"],
    "frontier": ["frontier", "my-model.yaml", "--at", "1"],
    "alternatives": ["alternatives", "my-model.yaml", "--within", "5", "--most", "1"],
    "compare": ["compare", "before", "after"],
    "check-plan": ["check-plan", "out", "--fail-on", "capital > 1M"],
    "graph": ["graph", "tiny"],
    "replay": ["replay"],
    "new": ["new", "--regions", "2"],
    "check": ["check", "tiny"],
    "schema": ["schema"],
    "wrong": ["check", "nowhere"],
    "usage": ["optimize", "--gap", "2"],
}
CHEAP = ("help", "simulate", "check", "compare", "check-plan", "wrong", "usage")


def is_sound(seen: Seen, wide: bool = False) -> None:
    for text in (seen.out, seen.err):
        assert "Internal error" not in text
        assert "Traceback" not in text
        for line in text.splitlines():
            assert line == line.rstrip(), repr(line)
    if not wide:
        assert max(map(len, seen.out.splitlines()), default=0) <= 80


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", RUNS)
def test_output_to_an_ascii_pipe_is_transliterated(seen, name):
    """Signs fall back, nothing fails, no colours, no spaces at the ends of lines, 80 columns."""
    result = seen(*RUNS[name], encoding="ascii")
    assert result.code in (0, 2, 3, 4)
    assert "\x1b" not in result.out + result.err
    assert "?" not in result.out or name == "schema"
    is_sound(result, wide=name in ("new", "schema"))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", CHEAP)
@pytest.mark.parametrize(
    ("encoding", "environment"),
    [
        ("utf-8", {"TERM": "dumb"}),
        ("utf-8", {"NO_COLOR": "1"}),
        ("latin-1", {}),
    ],
    ids=["dumb", "no-color", "latin-1"],
)
def test_output_suits_terminals_without_unicode_or_colour(seen, name, encoding, environment):
    result = seen(*RUNS[name], encoding=encoding, terminal=True, **environment)
    assert result.code in (0, 2, 4)
    if "TERM" in environment:
        assert "\x1b" not in result.out + result.err
    # Without colours there may be bold, but no more.
    colours = re.findall(r"\x1b\[([\d;]*)m", result.out)
    if "NO_COLOR" in environment:
        assert not [colour for colour in colours if re.search(r"\b[349]\d\b", colour)]


@pytest.mark.usefixtures("folder")
def test_output_to_a_unicode_pipe_keeps_its_characters(seen):
    result = seen("simulate", "my-model.yaml", "-q", "--scenario", "region-west")
    assert "°C" in result.out
    assert "─" in result.out
    is_sound(result)


def test_json_in_ascii_holds_the_same_values(seen, folder):
    text = "extends: tiny\ndescription: São Paulo ≥ 2 °C\n"
    (folder / "my-model.yaml").write_text(text, encoding="utf-8")
    arguments = ("simulate", "my-model.yaml", "--scenario", "surge", "--json")
    ascii_only, whole = (seen(*arguments, encoding=one) for one in ("ascii", "utf-8"))
    assert ascii_only.out.isascii()
    assert json.loads(ascii_only.out) == json.loads(whole.out)
