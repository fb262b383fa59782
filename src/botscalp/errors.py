"""The errors that end a run with a message instead of a traceback."""


class UserError(ValueError):
    """Something the user typed or supplied cannot work; the process exits with code 2.

    The message names the key, its value, what is wrong with it and what to do instead.
    """

    def __init__(self, key: str, value: object, problem: str, remedy: str) -> None:
        super().__init__(f"{key}={value}: {problem}\n  remedy: {remedy}")
        self.key = key
        self.value = value
        self.problem = problem
        self.remedy = remedy

    def about(self, key: str) -> "UserError":
        """The same of another key: the one that the user typed to get here."""
        return type(self)(key, self.value, self.problem, self.remedy)

    def __reduce__(self) -> tuple[type["UserError"], tuple[str, object, str, str]]:
        return type(self), (self.key, self.value, self.problem, self.remedy)


class NotAllowedError(UserError):
    """A value that its field does not take, whatever the other values are."""


class CausalityError(RuntimeError):
    """A feature at bar t changed when bars after t did; the process exits with code 3."""


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM; the process exits with code 130.

    Not a KeyboardInterrupt, because Lightning turns that one into exit code 1 and leaves SIGINT ignored.
    """


class UnwantedVerdictError(RuntimeError):
    """The verdict is one that `fail_on` lists; the process exits with code 4."""
