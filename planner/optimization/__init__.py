"""What to buy: the mixed-integer programme, its solvers, its audit and its diagnosis."""
