"""Launcher for a checkout: ``python cli.py optimize``."""

from planner.commands import main

if __name__ == "__main__":
    main()
