"""What shown values mean, each in one phrase, which tables, figures and pages all use."""

from typing import Final

RETEST: Final = "one model on two halves of the images, on average the most that noise allows"

CHANCE: Final = "random circuits of the same sizes"

ADJUSTED: Final = "1 = identical, 0 = chance"

DRIFT_GAP: Final = "recall of the global model's own circuits minus that of client circuits on its weights"
