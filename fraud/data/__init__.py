"""Profiles, tables and the built-in simulator: everything that is particular to one data set."""
