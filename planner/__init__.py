"""Resilience capacity planner: cheapest plans for AI platforms that survive their failures."""

__version__ = "0.1.0"
