"""A simulated production: the world goes on, people answer late or never, and something may change."""
