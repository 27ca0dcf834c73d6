"""Questions to a plan: what it stands on, what else there is, what it costs to ask for more."""
