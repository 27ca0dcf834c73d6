"""What was checked of a plan, and where it states other than what is so."""

from __future__ import annotations

from collections.abc import Sequence

from planner.proof import Check
from planner.reporting.terminal import bullets, new_console, print_json, say

#: Most differences of one check that are shown.
MOST = 8


def show_proof(source: str, checks: Sequence[Check], as_json: bool) -> None:
    """Print every check, and what differs."""
    if as_json:
        holds = not any(check.differs for check in checks)
        print_json({"plan": source, "holds": holds, "checks": checks})
        return
    console = new_console()
    for check in checks:
        mark, tone = ("ok    ", "green") if check.holds else ("FAIL  ", "bold red")
        if not check.done:
            mark, tone = "-     ", "dim"
        note = f" ({check.note})" if check.note else ""
        say(console, check.name + note, lead=mark, tone=tone)
        bullets(console, check.differs, MOST, "; --json lists all")
    wrong = sum(bool(check.differs) for check in checks)
    skipped = sum(not check.done for check in checks)
    left = f", {skipped} not made" if skipped else ""
    if wrong:
        console.print(f"[bold red]Not what it states[/]: {wrong} of {len(checks)} checks fail.")
    else:
        console.print(f"[bold green]All that was checked is as stated[/]{left}.")
