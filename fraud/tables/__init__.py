"""Whole tables: read in pieces, matched with the profile's columns, scored by both models, shown by risk."""
