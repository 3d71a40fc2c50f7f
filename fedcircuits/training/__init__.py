"""The training method: weight-sparse local training."""
