"""``plan completion``."""

from __future__ import annotations

import click

from planner.errors import EXIT_DONE

SHELLS = ("bash", "zsh", "fish")
#: Variable through which a shell asks `plan` for completions.
VARIABLE = "_PLAN_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.option("--json", is_flag=True, expose_value=False)
@click.option("-q", "--quiet", is_flag=True, expose_value=False)
@click.pass_context
def command(context: click.Context, shell: str) -> int:
    """Print the script that makes SHELL complete commands, options and models.

    Add it to what the shell reads when it starts, as in the examples.
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click has no completion for {shell}.")
    click.echo(found(context.find_root().command, {}, "plan", VARIABLE).source())
    return EXIT_DONE
