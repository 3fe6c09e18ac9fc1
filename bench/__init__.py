"""Measurements that people run. Start them in the project's folder, for instance: .venv/bin/python -m bench.soak --help

`cold_start` measures how long a host waits for the server, `soak` its behaviour under faults, `tokens` the tools' price
for a model, and `webhooks` the acknowledgement of events.
"""
