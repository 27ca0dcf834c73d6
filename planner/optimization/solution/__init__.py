"""From a programme to decisions: solvers, costs, audit, and scenarios that need not be solved."""
