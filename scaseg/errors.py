class UserError(Exception):
    """Something the user can put right: the message names the thing, the place and the fix.

    Commands print the message alone, without a traceback, and exit with status 2.
    """
