"""A job's failure, as it comes home."""

from hydra_plugins.hydra_ec2_launcher.home.sweep import Job, Outcome


class RemoteJobError(RuntimeError):
    """A job came to an end without a result; what it raised there is text here, with its traceback."""

    def __init__(self, words: str, *, remote_type: str | None = None, traceback: str = "") -> None:
        super().__init__(f"{words}\n{traceback}".rstrip())
        self.words = words
        """the message without the traceback"""
        self.remote_type = remote_type
        """the name of the exception's class, None where the job raised nothing"""

    @classmethod
    def of(cls, job: Job, outcome: Outcome) -> "RemoteJobError":
        """What to say of that job."""
        error = (outcome.result or {}).get("error")
        start = f"job #{job.num} ({job.title}) {outcome.state}"
        if error is None:
            return cls(f"{start}: {outcome.reason}")
        return cls(f"{start}: {error['message']}", remote_type=error["type"], traceback=error["traceback"])
