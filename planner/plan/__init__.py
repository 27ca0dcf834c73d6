"""Plans: their records, their files, differences between them, thresholds on them."""
