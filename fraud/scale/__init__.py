"""Training, scoring, searching and monitoring by Dask, for tables that outgrow one process.

The kernels, rules and files are those of the single process; what is here cuts a table into partitions, sends
each card's rows to one place, and puts the answers together again. Every step reads files and writes files in
a working directory that all workers see, so a worker that dies costs what it was doing and nothing else.
Dask is imported here only (docs/scale.md).
"""
