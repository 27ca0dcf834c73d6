"""The plan that an architect makes with a spreadsheet: the yardstick for the optimum."""
