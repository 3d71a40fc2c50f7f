"""What a process may use: CPU threads and the device."""

import torch

from fedcircuits.errors import SettingsError


def use_machine(device: str, num_threads: int) -> torch.device:
    """Set the number of CPU threads and return the device to work on.

    Args:
        device: `cpu`, `cuda`, or `auto`, the GPU that this process can see, if any: Flower hides GPUs from clients that
            are given none.
        num_threads: 1 or more.

    Raises:
        SettingsError: if `cuda` is asked for and there is none.
    """
    if torch.get_num_threads() != num_threads:
        torch.set_num_threads(num_threads)
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise SettingsError(['device = "cuda": this process sees no GPU; use "auto" or "cpu"'])
    return torch.device("cuda")
