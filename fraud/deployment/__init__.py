"""Putting the demo on a Hugging Face Hub: a Space, a dataset repository, a model repository, webhooks."""
