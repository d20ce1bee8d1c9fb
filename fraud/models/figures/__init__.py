"""Figures: views hold words and numbers, two drawers turn a view into a PNG or into a plot of the page."""
