"""A year of failures: their frequency, duration and cost, by simulation and by outage tables."""

#: Default number of periods of failure sampled for a build.
SAMPLES = 800
