"""The same four endpoints over the same table, by each peer in a process of its own.

Here: the peers, the load, what is measured. The peers in `peers/` run in other environments than ours: they import
nothing but what they show, and `benchmarks.http.schemas`.
"""
