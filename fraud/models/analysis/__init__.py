"""What held-out predictions and validation folds say, as tables; nothing is drawn or written here."""
