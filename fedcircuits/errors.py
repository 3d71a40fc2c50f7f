"""The errors that users of this project can meet, under one base class."""


class FedCircuitsError(Exception):
    """Base of every error that is raised on purpose."""


class SettingsError(FedCircuitsError):
    """The settings of a run are wrong; the message lists every mistake."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        lines = "\n".join(f"  - {problem}" for problem in problems)
        noun = "problem" if len(problems) == 1 else "problems"
        super().__init__(f"{len(problems)} {noun} in the settings:\n{lines}")

    def __reduce__(self) -> tuple[type["SettingsError"], tuple[list[str]]]:
        """Return how it is made anew in another process: of its problems, not of its message."""
        return type(self), (self.problems,)


class DataError(FedCircuitsError):
    """A dataset is missing or cannot be split as asked."""


class LogImportError(FedCircuitsError):
    """Another program's log is not of the form that we read; the message has the path inside the file."""


class ReplyError(FedCircuitsError):
    """A message does not follow the schema; the text is the reason logged for its sender."""


class FederationError(FedCircuitsError):
    """The federation cannot go on: nodes missing, too few usable replies, different code."""


class RunLogError(FedCircuitsError):
    """A run directory is missing, incomplete or not ours."""


class SweepError(FedCircuitsError):
    """A sweep cannot start or go on; single runs that fail are no such error."""


class ExportError(FedCircuitsError):
    """Values of a run cannot be handed to another tool: it is not installed, or refuses them."""
