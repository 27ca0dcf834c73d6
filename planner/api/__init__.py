"""The planner from Python: what the commands do, with tables as pandas DataFrames.

Every name is reached from `planner` itself and imported when it is first asked for.

>>> from planner import load_model, optimize, simulate
>>> model = load_model("tiny")
>>> simulate(model, only="region-west").failed
('region-west',)
"""
