"""What a process may use: CPU threads and the device."""

import torch

from fedcircuits.errors import SettingsError
from fedcircuits.settings import MachineSettings


def use_machine(settings: MachineSettings) -> torch.device:
    """Set the number of CPU threads and return the device to work on.

    `auto` takes the GPU that this process can see, if any: Flower hides GPUs from clients that are given none.

    Raises:
        SettingsError: if `cuda` is asked for and there is none.
    """
    if torch.get_num_threads() != settings.num_threads:
        torch.set_num_threads(settings.num_threads)
    if settings.device == "cpu" or (settings.device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise SettingsError(['device = "cuda": this process sees no GPU; use "auto" or "cpu"'])
    return torch.device("cuda")
