"""Stress: the smallest and the worst sets of failures that a plan does not survive."""
