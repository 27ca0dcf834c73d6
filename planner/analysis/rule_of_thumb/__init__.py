"""The plan that an architect makes with a spreadsheet: what the optimum is compared with."""
