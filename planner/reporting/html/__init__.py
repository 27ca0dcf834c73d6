"""The report: one page for people who decide, that works without a network.

`page` puts it together from what `material` gathers; everything that is shown of one scenario over
time comes from `timelines`.
"""
