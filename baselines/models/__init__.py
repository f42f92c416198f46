"""Networks in plain torch, and the weights they start from."""
