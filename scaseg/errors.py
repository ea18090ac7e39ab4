class UserError(Exception):
    """Something the user can put right: the message names the thing, the place and the fix.

    Commands print the message alone, without a traceback, and exit with `exit_status`.
    """

    exit_status = 2


class BusyError(UserError):
    """Another process is at the same run. A sweep tells it from other errors by the exit status."""

    exit_status = 75  # EX_TEMPFAIL of sysexits.h
