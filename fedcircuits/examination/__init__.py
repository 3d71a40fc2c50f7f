"""Examinations: what the server looks at every few rounds, with all clients' weights at hand."""
