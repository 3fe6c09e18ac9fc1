"""Measurements that people run. Start them in the project's folder, for instance: .venv/bin/python -m bench.soak --help

`python -m bench` runs those of docs/reference/performance.md. A module here is one measurement, `servers` has what is
measured, and `growth` the measurements with more and more rows. `tokens` counts the tools' price for a model.
"""
