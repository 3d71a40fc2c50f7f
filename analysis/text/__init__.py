"""Plain text: tables, words, numbers."""
