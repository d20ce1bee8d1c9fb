"""Versioned repositories of files: the feedback dataset and the model registry are both one of these."""
