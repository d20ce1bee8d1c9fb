"""What was predicted against what was labelled, and what goes in against what went in before."""
