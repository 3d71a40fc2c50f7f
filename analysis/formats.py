"""The image formats of figures, apart from what draws them: the command line names them without loading it."""

from typing import Final, Literal

ImageFormat = Literal["png", "svg", "pdf"]

StyleName = Literal["screen", "paper"]

IMAGE_FORMATS: Final = ("png", "svg", "pdf")

DEFAULT_FORMATS: Final[dict[str, tuple[str, ...]]] = {"screen": ("png",), "paper": ("pdf",)}
"""Style to what its figures are written as, if nothing else is asked for."""
