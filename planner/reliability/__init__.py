"""A year of failures: how often they come, how long they last, what they cost."""
