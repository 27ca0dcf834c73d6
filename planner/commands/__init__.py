"""The command line: parse, call, print, exit code. Heavy imports stay inside the commands."""

from __future__ import annotations

import errno
import io
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import click

import planner
from planner.commands.interruption import all_interrupts
from planner.errors import EXIT_ERROR, EXIT_INPUT, InputError, PlannerError, shown
from planner.reporting.characters import fit_streams

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "optimize": "size cooling, GPUs and emergency cloud at least cost, and prove that they survive",
    "roadmap": "find what to order when over years of growth",
    "simulate": "simulate the cascade of every failure on what exists, or on a plan",
    "stress": "find the smallest and the worst sets of failures that break a plan",
    "explain": "say why a plan buys what it buys, and what it would cost otherwise",
    "frontier": "show what survivability costs, point by point",
    "alternatives": "show plans that cost little more and differ most",
    "compare": "say how two plans or models differ",
    "check-plan": "check a plan against limits of cost and survivability, for pipelines",
    "verify": "check everything that a plan states, without believing it",
    "finance": "say what plans cost, save and return, and how sure that is",
    "explore": "ask what if on a local page: move a slider, see the plan change",
    "report": "write a plan as one web page for a meeting that works offline",
    "replay": "simulate a recorded incident and compare it with what was observed",
    "calibrate": "fit what an incident declares to the milestones it declares",
    "graph": "draw the infrastructure and its dependencies",
    "import": "make a model from NetBox, Kubernetes, Terraform or Prometheus",
    "export": "write a model as a workbook or CSV files, for spreadsheets",
    "new": "start a model or an incident of your own, or make a synthetic one of any size",
    "catalogue": "list the GPUs, cooling units, offers, climates and shapes that models can take",
    "check": "validate a model and say what it holds",
    "schema": "print the JSON Schema of model or incident files",
    "completion": "print the script that makes a shell complete commands and models",
}

EXAMPLES = """
Examples:

\b
  plan optimize                             plan for the shipped 2023 platform
  plan optimize my-model.yaml -o out        write out/plan.json and tables
  plan optimize --set finance.emergency_budget_usd=20e6
  plan optimize --from out/plan.json --fix cooling
  plan roadmap my-model.yaml -o out         what to order when (`horizon`)
  plan simulate chatgpt-2023 --scenario incident-2023
  plan simulate chatgpt-2023 --plan out/plan.json
  plan stress --plan out -k 3               what breaks it, with what
  plan explain out                          why the plan buys what it buys
  plan frontier --by recovery -o costs.png  what survivability costs
  plan alternatives --within 1,5            good plans that differ
  plan compare before after                 what is bought, lost and gained
  plan check-plan out --fail-on "capital > 900M" --fail-on "survives < 1.0"
  plan verify out                           everything that the plan states
  plan finance --plan out -o book.xlsx      costs, returns and risk
  plan explore out                          what if, on a local page
  plan report out -o report.html            one page for a meeting
  plan replay chatgpt-2023 -o chart.png     an incident against its record
  plan graph --blast us-west -o graph.svg   what goes down with a region
  plan check my-model.yaml                  all problems at once, with lines
  plan catalogue gpus                       what a model can take with `from:`
  plan import netbox export -o mine.yaml    a model from an inventory
  plan new my-platform                      a model of your own to start from
  plan new --regions 5 --seed 1 -o five.yaml

A model is a YAML file or the name of a shipped one (chatgpt-2023,
chatgpt-2023-measures, chatgpt-2023-roadmap, chatgpt-2023-v2,
azure-australia-east-2023, hyperscaler-12, hyperscaler-12-roadmap, tiny,
tiny-roadmap).

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
        """Import a command; None if there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        module = "import_" if cmd_name == "import" else cmd_name.replace("-", "_")
        command: click.Command = import_module(f"planner.commands.{module}").command
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

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands without importing them, and options."""
        from click.shell_completion import CompletionItem

        names = [name for name in COMMANDS if name.startswith(incomplete)]
        commands = [CompletionItem(name, help=COMMANDS[name]) for name in names]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    subcommand_metavar="[COMMAND] [ARGS]...",
    epilog=EXAMPLES,
)
@click.version_option(planner.__version__, prog_name="plan")
@click.option(
    "--extends-outside",
    is_flag=True,
    help="Read what a model extends also where it is not below the folder of the model.",
)
@click.pass_context
def cli(context: click.Context, extends_outside: bool) -> None:
    """Cheapest resilience plans for AI platforms, proven and simulated."""
    if extends_outside:
        from planner.infrastructure.loading import extending_outside

        context.with_resource(extending_outside())
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the code of its outcome."""
    try:
        _run(arguments)
    except SystemExit as end:
        if _is_solver_at_work():
            # It may go on for minutes, and stumble over the end of Python beside it.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code if isinstance(end.code, int) else 0)
        raise


def _run(arguments: list[str] | None) -> None:
    fit_streams()
    try:
        with all_interrupts():
            code = cli.main(args=arguments, prog_name="plan", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        text = io.StringIO()
        error.show(file=text)
        _say(text.getvalue().rstrip("\n"))
        sys.exit(error.exit_code)
    except InputError as error:
        _report_input(error)
        sys.exit(error.exit_code)
    except PlannerError as error:
        _say(f"Error: {error}")
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _say("Interrupted; nothing was written.")
        sys.exit(130)
    except BrokenPipeError:
        # The reader has gone (`plan … | head`); keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_ERROR)
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            _say(f"Error: {error.filename}: {error.strerror}")
            sys.exit(EXIT_INPUT)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            _say(f"Error: the output cannot be written: {error.strerror}")
            sys.exit(EXIT_ERROR)
        if os.environ.get("PLAN_DEBUG"):
            raise
        _say(f"Internal error: {type(error).__name__}: {error}")
        _say("Set PLAN_DEBUG=1 to see where, and please report it.")
        sys.exit(EXIT_ERROR)


def _is_solver_at_work() -> bool:
    """Whether a solver works that nobody waits for any longer."""
    watching = sys.modules.get("planner.optimization.solution.watching")
    return watching is not None and watching.left_behind()


def _report_input(error: InputError) -> None:
    count = len(error.problems)
    _say(f"{count} problem{'s' if count > 1 else ''} in the input:")
    for problem in error.problems:
        _say(f"  {problem}")
    if sys.stderr.isatty() and any(problem.line for problem in error.problems):
        _say("Next: correct the lines above; `plan schema` lets an editor complete model files.")


def _say(text: str) -> None:
    """Print on standard error; click by itself would print UTF-8 where that is not wanted."""
    print(shown(text), file=sys.stderr, flush=True)  # noqa: T201
