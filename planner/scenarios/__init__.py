"""What can go wrong: scenario families, their course in time, the survival standard."""
