"""What a running node tells its operator: counters, Prometheus' text, logs.

`counters` is the part that the hot path pays for; it imports nothing of the other two.
"""
