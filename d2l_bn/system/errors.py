"""The two ways in which a command can fail."""


class InputError(ValueError):
    """An argument or a file that the user gave is wrong: one line on the terminal, exit code 2."""


class RunError(RuntimeError):
    """Something failed while the command ran: one line on the terminal, exit code 1."""
