"""The command line: parse, call, print, exit code. Heavy imports stay inside the commands."""

from __future__ import annotations

import os
import sys
import threading
from importlib import import_module

import click

import planner
from planner.errors import EXIT_ERROR, InputError, PlannerError

COMMANDS = {
    "optimize": "size cooling, GPUs and emergency cloud at least cost, and prove that they survive",
    "simulate": "simulate the cascade of every failure on what exists, or on a plan",
    "explain": "say why a plan buys what it buys, and what it would cost otherwise",
    "frontier": "show what survivability costs, point by point",
    "alternatives": "show plans that cost little more and differ most",
    "finance": "say what plans cost, save and return, and how sure that is",
    "replay": "simulate a recorded incident and compare it with what was observed",
    "new": "make a sound model of any size, for tests and benchmarks",
    "check": "validate a model and say what it holds",
    "schema": "print the JSON Schema of model files",
}

EXAMPLES = """
Examples:

\b
  plan optimize                             plan for the shipped 2023 platform
  plan optimize my-model.yaml -o out        write out/plan.json and tables
  plan optimize --set finance.emergency_budget_usd=20e6
  plan optimize --from out/plan.json --fix cooling
  plan simulate chatgpt-2023 --scenario incident-2023
  plan simulate chatgpt-2023 --plan out/plan.json
  plan explain out                          why the plan buys what it buys
  plan frontier --by recovery -o costs.png  what survivability costs
  plan alternatives --within 1,5            good plans that differ
  plan finance --plan out -o book.xlsx      costs, returns and risk
  plan replay chatgpt-2023 -o chart.png     an incident against its record
  plan check my-model.yaml                  all problems at once, with lines
  plan new --regions 5 --seed 1 -o five.yaml

A model is a YAML file or the name of a shipped one (chatgpt-2023,
chatgpt-2023-measures, chatgpt-2023-v2, azure-australia-east-2023,
hyperscaler-12, tiny).

Exit codes: 0 done and survivable, 1 internal or solver error, 2 invalid
input, 3 infeasible, 4 does not survive, 5 ended early by the time limit or
Ctrl-C with the best plan so far, 130 ended by Ctrl-C with nothing.
"""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; None if there is no such one."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"planner.commands.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, with the nearest name for a misspelt one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean `{close[0]}`?" if close else ""
            raise click.UsageError(f"No such command `{args[0]}`.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, invoke_without_command=True, epilog=EXAMPLES)
@click.version_option(planner.__version__, prog_name="plan")
@click.pass_context
def cli(context: click.Context) -> None:
    """Cheapest resilience plans for AI platforms, proven and simulated."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the code of its outcome."""
    try:
        code = cli.main(args=arguments, prog_name="plan", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except InputError as error:
        _report_input(error)
        sys.exit(error.exit_code)
    except PlannerError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted; nothing was written.", err=True)
        _leave(130)
    except BrokenPipeError:
        # The reader has gone (`plan … | head`); keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_ERROR)
    except Exception as error:
        if os.environ.get("PLAN_DEBUG"):
            raise
        click.echo(f"Internal error: {type(error).__name__}: {error}", err=True)
        click.echo("Set PLAN_DEBUG=1 to see where, and please report it.", err=True)
        sys.exit(EXIT_ERROR)


def _leave(code: int) -> None:
    """Exit at once, also while a solver still works in its thread."""
    # Python waits for nobody at its end, but a solver in a thread may then stumble over it.
    if threading.active_count() > 1 and "planner.commands.interruption" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _report_input(error: InputError) -> None:
    count = len(error.problems)
    click.echo(f"{count} problem{'s' if count > 1 else ''} in the input:", err=True)
    for problem in error.problems:
        click.echo(f"  {problem}", err=True)
