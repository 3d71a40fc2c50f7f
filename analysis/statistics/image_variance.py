"""What the choice of test images adds to the variance of an accuracy. Pure functions, no files, no runs.

All seeds of an experiment are scored on the same test images, so that the spread of seeds says nothing about other
images: t-intervals over seeds cover the accuracy on the population much too rarely. Seeds and images are crossed, and
the variance of a mean over seeds is that of seeds, s²/n, plus that of images. The latter is what a bootstrap over
images gives, which for a mean need not be drawn: it has a closed form. Images are drawn within their class, and images
that were made of one original are drawn together.
"""

import math
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class ImageVariance:
    """The variance of a mean over seeds that is due to the choice of test images.

    Args:
        variance: in squared units of the mean.
        degrees: its degrees of freedom: originals less one in each class that counts.
    """

    variance: float
    degrees: int


def image_variance(shares: pd.DataFrame) -> ImageVariance | None:
    """Return the variance that test images give to the mean over seeds of what they sum to.

    With U_o what original o adds to the mean over seeds, and n_c originals in class c, it is
    Σ_c n_c / (n_c − 1) Σ_(o in c) (U_o − mean_c)². What is due to seed and image together is in the spread of seeds
    too, so that the interval made of both is a little wide, not narrow.

    Args:
        shares: one row per seed; columns (class, original), what the images of the original add to the seed's value.
            A seed with a missing value is left out.

    Returns:
        None without a seed, or if no class has two originals.
    """
    known = shares.dropna()
    if known.empty:
        return None
    variance, degrees = 0.0, 0
    for _, of_class in known.mean().groupby(level=0):
        if len(of_class) > 1:
            variance += len(of_class) * float(of_class.var(ddof=1))
            # A class that counts nowhere has no share in the variance, nor in its degrees of freedom.
            degrees += (len(of_class) - 1) * bool((of_class != 0).any())
    return ImageVariance(variance, degrees) if degrees else None


def standard_error(images: ImageVariance | None) -> float:
    """Return the standard error that images alone give; NaN where it is not known."""
    return math.nan if images is None else math.sqrt(images.variance)
