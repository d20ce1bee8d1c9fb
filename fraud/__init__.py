"""From a labelled table of transactions to a hosted, explained, self-improving fraud demo."""
