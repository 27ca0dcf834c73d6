"""What exists: entities, model file, catalogue look-ups, the graph."""
