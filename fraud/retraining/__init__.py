"""From the feedback dataset to a challenger, and from a challenger to a new version."""
