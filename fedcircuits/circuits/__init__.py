"""What a circuit is, how it is found, and how good it is."""
