"""``python -m planner``: the command line without its script."""

from planner.commands import main

main()
