"""The C extension calls this so that the interpreter looks whether anybody wants something.

See src/gil.h.
"""


def interpreter_check():
    """Do nothing: to call a function of Python is the interpreter's own check."""
