"""The runtime type checker of the test run: an int may stand where a float is declared, as for static checkers."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
