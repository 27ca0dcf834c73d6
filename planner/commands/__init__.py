"""The command line: parse, call, print, exit code. Heavy imports stay inside the commands."""

from __future__ import annotations

import errno
import io
import os
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

import planner
from planner.commands.interruption import all_interrupts
from planner.errors import EXIT_ERROR, EXIT_INPUT, InputError, PlannerError, shown
from planner.files import EPOCH, now
from planner.reporting.characters import fit_streams

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: What a full disk, or a standard output that was closed, is called.
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF)
#: Section of words that are those of every command unless it has its own.
EVERY = "every command"


@dataclass(frozen=True)
class Words:
    """What the help says of a command: in a line, of its options, and below them."""

    summary: str
    options: dict[str, str]
    epilog: str


def _words() -> dict[str, Words]:
    """Sections of `help.txt` by their names, in their order."""
    found = {}
    for section in Path(__file__).with_name("help.txt").read_text("utf-8").split("\n[")[1:]:
        name, _, body = section.partition("]\n")
        head, _, rest = body.strip("\n").partition("\n\n")
        lines = [line for line in head.splitlines() if not line.startswith("--")]
        options = dict(line.split(": ", 1) for line in head.splitlines() if line.startswith("--"))
        # Click keeps the lines of paragraphs that begin with a backspace.
        blocks = ("\b\n" + block if "\n  " in block else block for block in rest.split("\n\n"))
        found[name] = Words(" ".join(lines), options, "\n\n".join(blocks))
    return found


HELP = _words()
COMMANDS = {name: words.summary for name, words in HELP.items() if words.summary}


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
        words = HELP[cmd_name]
        command.epilog, texts = words.epilog, HELP[EVERY].options | words.options
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.help is None:
                parameter.help = texts[next(o for o in parameter.opts if o.startswith("--"))]
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
    context_settings={"show_default": True},
    subcommand_metavar="[COMMAND] [ARGS]...",
    epilog=HELP["plan"].epilog,
)
@click.version_option(planner.__version__, prog_name="plan")
@click.option("--extends-outside", is_flag=True, help=HELP["plan"].options["--extends-outside"])
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
        now()
        if not os.environ.get(EPOCH):  # an empty one stops libraries that read it too
            os.environ.pop(EPOCH, None)
        with all_interrupts():
            code = cli.main(args=arguments, prog_name="plan", standalone_mode=False)
        sys.stdout.flush()
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
        _drop_output()  # the reader has gone (`plan … | head`)
        sys.exit(EXIT_ERROR)
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            _say(f"Error: {error.filename}: {error.strerror}")
            sys.exit(EXIT_INPUT)
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            _drop_output()
            _say(f"Error: the output cannot be written: {error.strerror}")
            sys.exit(EXIT_ERROR)
        if os.environ.get("PLAN_DEBUG"):
            raise
        _say(f"Internal error: {type(error).__name__}: {error}")
        _say("Set PLAN_DEBUG=1 to see where, and please report it.")
        sys.exit(EXIT_ERROR)


def _drop_output() -> None:
    """Drop output that cannot be written; Python would complain about it at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
