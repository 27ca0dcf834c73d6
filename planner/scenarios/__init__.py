"""What can go wrong: scenario families, their timelines, the survival standard."""
