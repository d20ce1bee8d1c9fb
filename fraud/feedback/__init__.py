"""What people say of predictions: durable events, a versioned dataset, and the labels that follow."""
