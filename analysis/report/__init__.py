"""One run, or several, as a single HTML file that opens from disk and asks nothing of any network."""
