"""Scoring with a released bundle, and swapping it for a newer one while requests go on."""
