"""From transactions to what models see; one code path for training, batches and one transaction."""
