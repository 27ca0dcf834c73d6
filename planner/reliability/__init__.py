"""A year of failures: how often they come, how long they last, what they cost."""

#: Periods of failure drawn for a build unless somebody asks for another number.
SAMPLES = 800
