"""The shell of the GitHub action and of the GitLab component, run as it stands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from support import CHECKOUT

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None or os.name == "nt", reason="needs git and a POSIX shell"
)
ACTION = yaml.safe_load((CHECKOUT / "action.yml").read_text())
SPEC, JOBS = yaml.safe_load_all((CHECKOUT / "templates" / "resilience-plan.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "run" in step}
JOB = JOBS["resilience-plan"]
PLAN = STEPS["Plan, compare, test, check"]
#: Text that a shell would act on if it were more than a value.
HOSTILE = "$(touch pwned)`touch pwned`';touch pwned;\"\nx"

#: Few failures, soon simulated: each command is a process of its own.
SMALL = """extends: tiny
generators: {units: null, heat_wave: null, surge: null}
simulation: {horizon_minutes: 120}
"""


def comment_script(after: str) -> str:
    """The program of Python in the shell of GitLab."""
    found = re.search(r"python - << 'END'\n(.*)\nEND$", after.strip(), re.DOTALL)
    assert found is not None
    return found[1] + "\n"


def test_both_run_the_same_shell_and_the_same_program() -> None:
    assert PLAN["run"] == JOB["script"][0]
    assert STEPS["Comment"]["run"] == comment_script(JOB["after_script"][0])


def test_no_input_reaches_the_shell_by_interpolation() -> None:
    for name, step in STEPS.items():
        assert "${{" not in step["run"], name
    for part in ("before_script", "script", "after_script"):
        assert "$[[" not in "\n".join(JOB[part])
    for name, value in JOB["variables"].items():
        if "$[[" in str(value):
            assert value["expand"] is False, name


def test_both_take_the_same_inputs() -> None:
    github, gitlab = set(ACTION["inputs"]), set(SPEC["spec"]["inputs"])
    assert github - gitlab == {"base", "comment", "token"}
    assert gitlab - github == {"image", "package", "stage"}
    used = re.findall(r"PLAN_[A-Z_]+", PLAN["run"])
    assert set(used) == set(PLAN["env"])
    assert set(used) - {"PLAN_BASE"} <= set(JOB["variables"])
    for name, value in PLAN["env"].items():
        assert value == f"${{{{ inputs.{value.split('.')[1].split()[0]} }}}}", name
    for name in github & gitlab:
        defaults = ACTION["inputs"][name], SPEC["spec"]["inputs"][name]
        assert defaults[0].get("default") == defaults[1].get("default"), name


def run_shell(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A script as a runner starts it, with `plan` and `python` of this environment."""
    programs = folder.parent / "bin"
    programs.mkdir(exist_ok=True)
    for name, command in (("plan", "-m planner"), ("python", "")):
        file = programs / name
        file.write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
        file.chmod(0o755)
    defaults = {
        "PLAN_GAP": "0.0001",
        "PLAN_TIME_LIMIT": "",
        "PLAN_SCENARIOS": "",
        "PLAN_FAIL_ON": "",
        "PLAN_POLICY": "",
        "PLAN_FAIL_IF_WORSE": "true",
        "PLAN_BASE": "",
        "PLAN_OUT": "resilience-plan",
    }
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", **defaults, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def git(folder: Path, *arguments: str) -> str:
    name = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(
        ["git", *name, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A repository with more demand on its branch than on the base, and the commit of the base."""
    folder = tmp_path_factory.mktemp("pipeline") / "repository"
    (folder / "tests").mkdir(parents=True)
    git(folder.parent, "init", "-q", str(folder))
    (folder / "tests" / "test_other.py").write_text("raise RuntimeError('not collected')\n")
    model = folder / "model.yaml"
    model.write_text(SMALL)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "base")
    base = git(folder, "rev-parse", "HEAD")
    model.write_text(SMALL + 'zones: {west-users: {demand_rps: "*1.2"}}\n')
    git(folder, "commit", "-qam", "more demand")
    return folder, base


def test_a_branch_is_planned_compared_tested_and_held_against_limits(
    repository: tuple[Path, str],
) -> None:
    folder, base = repository
    (folder / "limits.yaml").write_text("rules:\n  - gap > 1%\n")
    rules = "survives < 100%\nusd_per_year > 1M\n"
    done = run_shell(
        PLAN["run"],
        folder,
        PLAN_MODEL="model.yaml",
        PLAN_BASE=base,
        PLAN_FAIL_ON=rules,
        PLAN_POLICY="limits.yaml",
    )
    out = folder / "resilience-plan"
    comment = (out / "comment.md").read_text()
    assert done.returncode == 1, done.stderr
    assert comment.endswith("**Fails:**\n\n- A threshold is broken (limits.xml).\n")
    assert "more capital" in comment and "zones.west-users.demand_rps" in comment
    limits = ElementTree.parse(out / "limits.xml").getroot()
    assert len(limits.findall(".//testcase")) == 3
    assert len(limits.findall(".//failure")) == 1
    scenarios = ElementTree.parse(out / "survivability.xml").getroot()
    assert len(scenarios.findall(".//testcase")) == 5
    assert (out / "report.html").stat().st_size > 10_000
    assert "worktree" not in done.stderr


def test_a_model_without_a_plan_fails_and_says_so(repository: tuple[Path, str]) -> None:
    folder, base = repository
    (folder / "wrong.yaml").write_text("extends: tiny\nregions: {west: {power_limit: 3}}\n")
    done = run_shell(PLAN["run"], folder, PLAN_MODEL="wrong.yaml", PLAN_BASE=base, PLAN_OUT="bad")
    comment = (folder / "bad" / "comment.md").read_text()
    assert done.returncode == 1
    assert comment.startswith("### :x: Resilience plan\n\n    1 problem in the input:")
    assert "wrong.yaml:2:" in comment
    assert comment.endswith("- There is no plan (exit code 2).\n")


def test_hostile_values_stay_values(repository: tuple[Path, str]) -> None:
    folder, _ = repository
    names = ("MODEL", "BASE", "SCENARIOS", "FAIL_ON", "POLICY", "GAP", "OUT")
    hostile = {f"PLAN_{name}": HOSTILE for name in names}
    assert run_shell(PLAN["run"], folder, **hostile).returncode == 1
    assert not list(folder.rglob("pwned*"))


class Forge(BaseHTTPRequestHandler):
    """Comments as GitHub and GitLab keep them, page by page."""

    comments: dict[int, str]
    asked: list[tuple[str, str, str]]

    def _answer(self, data: Any) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(data).encode())

    def _put(self, number: int) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.comments[number] = body["body"]
        token = self.headers["Authorization"] or self.headers["PRIVATE-TOKEN"]
        self.asked.append((self.command, self.path, token))
        self._answer({})

    def do_GET(self) -> None:
        host = f"http://127.0.0.1:{self.server.server_address[1]}"
        page = int(self.path.rpartition("page=")[2])
        numbers = sorted(self.comments)[2 * page - 2 : 2 * page]
        self._answer(
            [{"id": n, "body": self.comments[n], "url": f"{host}/comments/{n}"} for n in numbers]
        )

    def do_POST(self) -> None:
        self._put(len(self.comments) + 1)

    def do_PATCH(self) -> None:
        self._put(int(self.path.rpartition("/")[2]))

    do_PUT = do_PATCH  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


@pytest.fixture
def forge() -> Iterator[str]:
    Forge.comments, Forge.asked = {1: "a", 2: "b", 3: "c"}, []
    with HTTPServer(("127.0.0.1", 0), Forge) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("name", ["github", "gitlab"])
def test_a_comment_is_made_once_and_then_changed(forge: str, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "work"
    (folder / "out").mkdir(parents=True)
    if name == "github":
        script = f"python - << 'END'\n{STEPS['Comment']['run']}END\n"
        variables = {"PLAN_FORGE": "github", "PLAN_COMMENTS_URL": f"{forge}/comments"}
    else:
        script = JOB["after_script"][0]
        variables = {
            "CI_API_V4_URL": forge,
            "CI_PROJECT_ID": "7",
            "CI_MERGE_REQUEST_IID": "12",
        }
    for text in ("first", "second"):
        (folder / "out" / "comment.md").write_text(text)
        done = run_shell(script, folder, PLAN_OUT="out", PLAN_TOKEN="secret", **variables)
        assert done.returncode == 0, done.stderr
        assert "secret" not in done.stdout + done.stderr
    assert Forge.comments[4] == "<!-- resilience-plan -->\nsecond"
    assert len(Forge.comments) == 4
    methods = ("POST", "PATCH" if name == "github" else "PUT")
    assert tuple(method for method, _, _ in Forge.asked) == methods
    path = "/comments" if name == "github" else "/projects/7/merge_requests/12/notes"
    assert [asked[1] for asked in Forge.asked] == [path, f"{path}/4"]
    assert {asked[2] for asked in Forge.asked} <= {"Bearer secret", "secret"}


def test_without_a_token_gitlab_makes_no_comment(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    done = run_shell(JOB["after_script"][0], folder)
    assert (done.returncode, done.stdout[:10]) == (0, "no comment")
