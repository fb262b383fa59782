"""Commands that run while others do, and what those said that failed."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.runs import arguments

COMMAND_S = 300.0


@dataclass(frozen=True)
class Running:
    """A command that runs, and writes what it says to a file."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @classmethod
    def start(cls, cwd: Path, log: str, name: str, *words: str) -> "Running":
        path = cwd / f"{log}.log"
        with path.open("wb") as out:
            process = subprocess.Popen(arguments(name, *words), cwd=cwd, stdout=out, stderr=subprocess.STDOUT)
        return cls(process, path)

    def says(self, words: str) -> bool:
        """Whether it has said these words by now."""
        return words in self.log.read_text()


def failed(*commands: Running) -> list[str]:
    """Wait for all of them; what those said that did not end well."""
    codes = [command.process.wait(COMMAND_S) for command in commands]
    return [command.log.read_text() for command, code in zip(commands, codes, strict=True) if code]
