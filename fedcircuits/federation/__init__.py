"""What travels between server and clients, and what a client does with it."""
