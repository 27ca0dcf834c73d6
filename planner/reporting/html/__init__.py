"""The report: one page for decision makers that works offline.

`page` puts it together: `facts` (decision, purchases), `places` (regions), `scenarios` and
`timelines` (what is shown of each scenario), `money`, `binding`, `reasons` and `sources`.
"""
