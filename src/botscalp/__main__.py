"""`python -m botscalp`: which commands there are."""

import re
import shlex
import sys
from pathlib import Path

from botscalp.errors import UserError
from botscalp.options import nearest

_NAMED = re.compile(r'"""`python -m botscalp\.(\w+).*?: (.+?)\.?(?:"""|\n)')
"""how the file of a command begins"""


def main() -> None:
    """List them, or say which one was meant."""
    commands = _commands()
    word = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if word in ("-h", "--help"):
        print("Does this model earn money after costs, out of sample, and should I believe the number?\n")
        for name, sentence in commands.items():
            print(f"  python -m botscalp.{name:<10} {sentence}")
        print("\nEach of them says more with --help; README.md begins with two that take nothing else.")
        return
    if word in commands:
        said = shlex.join(["python", "-m", f"botscalp.{word}", *sys.argv[2:]])
        error = UserError("command", word, "is a module of its own", f"type {said}")
    else:
        error = UserError("command", word, "no such command", nearest(word, commands))
    print(error, file=sys.stderr)
    sys.exit(2)


def _commands() -> dict[str, str]:
    """What each command is for, in the words that its file begins with: importing them would take seconds."""
    heads = (_NAMED.match(path.read_text()) for path in Path(__file__).parent.glob("*.py"))
    return dict(sorted((head[1], head[2]) for head in heads if head))


if __name__ == "__main__":
    main()
