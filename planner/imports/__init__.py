"""Models from inventories: an importer for each source, one writer of commented YAML."""
