"""Telling the nodes: Standard Webhooks, sent from a durable outbox, verified by the receiver."""
