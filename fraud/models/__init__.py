"""Training, calibration, thresholds, evaluation, and the bundle that a release consists of."""
