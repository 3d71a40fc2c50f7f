"""What averaging does to weights."""
