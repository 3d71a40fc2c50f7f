"""What runs on the server."""

import os

# flwr-datasets loads pyplot, which fails on a backend that only a notebook's environment has and its shells inherit.
# The app draws nothing.
os.environ["MPLBACKEND"] = "agg"
