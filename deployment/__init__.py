"""A real federation on one machine: an example to read and copy from, and what the tests of deployment run on.

`python -m deployment` prints every command that it runs. docs/deployment.md says the same for several machines. No part
of the app: it comes with the bundle, but is not installed.
"""
