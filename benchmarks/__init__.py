"""What is measured, against what, runnable by anyone."""
