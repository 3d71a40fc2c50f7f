"""What a round compares, and the rows that it logs."""
