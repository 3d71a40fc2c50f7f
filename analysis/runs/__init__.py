"""Run directories: finding them, telling experiments apart, and how far they are."""
