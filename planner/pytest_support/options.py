"""Options of the plugin: command line, ini file and node ids."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from planner.errors import InputError, Problem

#: First part of the node ids of scenarios.
ROOT = "plan"
MODEL_OPTION, PLAN_OPTION, SETS_OPTION = "--plan-model", "--plan", "--plan-scenarios"
_NODE_ID = re.compile(rf"(?:.*[/\\])?{ROOT}::(?P<rest>.+)", re.DOTALL)


@dataclass(frozen=True)
class TestOptions:
    """Options of a run, in values that pytest-xdist can send.

    Parameters
    ----------
    model
        Model file or name of a shipped model; None where the plan names it.
    plan
        Plan file or folder.
    sets
        Names of scenario sets; none means those of the plan or model.
    named
        Node ids, without their first part, that were given as arguments; none means all.
    collects
        Whether scenarios are collected as tests.
    eager
        Whether to load everything at once instead of when a fixture first needs it.
    workers
        Processes that share the tests.
    """

    model: str | None
    plan: str | None
    sets: tuple[str, ...]
    named: tuple[str, ...]
    collects: bool
    eager: bool
    workers: int = 1

    def record(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: dict[str, Any], workers: int) -> TestOptions:
        """Options sent by the main process, for one of some workers."""
        sets, named = tuple(record["sets"]), tuple(record["named"])
        return cls(**{**record, "sets": sets, "named": named, "workers": workers})


def options_of(config: pytest.Config) -> TestOptions:
    """Options of a run, from the command line and the ini file."""
    model, plan = config.getoption("planner_model"), config.getoption("planner_plan")
    for option, value in (("--plan-model", model), ("--plan", plan)):
        # Such as an unset variable of a pipeline: no tests at all would look like passed ones.
        if value is not None and not value.strip():
            raise pytest.UsageError(f"{option} is empty: name a file, or leave the option out")
    typed = [str(argument) for argument in getattr(config.option, "file_or_dir", None) or ()]
    named = tuple(found["rest"] for argument in typed if (found := _NODE_ID.fullmatch(argument)))
    paths = [argument for argument in typed if not is_node_id(argument)]
    sets = config.getoption("planner_scenarios") or config.getini("plan_scenarios")
    on_command_line = bool(model or plan)
    collects = bool(named) or _collects(config, paths, on_command_line)
    return TestOptions(
        model=_found(config, model, config.getini("plan_model")),
        plan=_found(config, plan, config.getini("plan_file")),
        # The ini option is split at spaces, which leaves commas at the ends.
        sets=tuple(part.strip() for text in sets for part in text.split(",") if part.strip()),
        named=named,
        collects=collects,
        eager=collects or on_command_line,
    )


def is_node_id(argument: str) -> bool:
    """Whether an argument of pytest names scenarios.

    >>> is_node_id("plan::tiny::region-west"), is_node_id("tests/test_plan.py::test_it")
    (True, False)
    """
    return _NODE_ID.fullmatch(argument) is not None


def _collects(config: pytest.Config, paths: list[str], on_command_line: bool) -> bool:
    """Whether scenarios are tests of this run, given the paths that it names.

    Not where single tests are named, nor where other paths are named without a model.
    """
    if any("::" in path for path in paths):
        return False
    if on_command_line or not paths:
        return True
    root = config.rootpath
    everything = {root, *root.parents, *(root / path for path in config.getini("testpaths"))}
    return any((config.invocation_params.dir / path).resolve() in everything for path in paths)


def _found(config: pytest.Config, option: str | None, ini: str) -> str | None:
    """A file of an option or an ini option, absolute; or what was given, where there is no file.

    Options are relative to where pytest was started, ini options to their file; options may stand
    in the ini file too (addopts).
    """
    given = option or ini
    if not given:
        return None
    beside_ini = config.inipath.parent if config.inipath else config.rootpath
    here = config.invocation_params.dir
    folders = (here, beside_ini, config.rootpath) if option else (beside_ini, here)
    for folder in folders:
        path = folder / given
        try:
            if path.exists():
                return str(path)
        except (OSError, ValueError):
            break
    return given


def refusal(error: InputError) -> str:
    """All problems of the options as one text for the command line."""
    count = len(error.problems)
    lines = [f"{count} problem{'s' if count > 1 else ''} with the options of the planner:"]
    return "\n".join([*lines, *(f"  {_shortened(problem)}" for problem in error.problems)])


def _shortened(problem: Problem) -> Problem:
    """A problem whose file is shown relative to where pytest was started, where it is below."""
    path = Path(problem.file)
    here = Path.cwd()
    if path.is_absolute() and path.is_relative_to(here):
        return replace(problem, file=str(path.relative_to(here)))
    return problem
