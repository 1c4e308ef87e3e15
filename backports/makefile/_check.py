"""The function that the C extension calls so that the interpreter looks whether anybody wants something: see src/gil.h."""


def interpreter_check():
    """Do nothing: to call a function of Python is the interpreter's own check."""
