"""`python -m botscalp.ui`, or `make ui`: MLflow's pages on the runs of a store, and a link to each study that shows its runs as a table to compare.

python -m botscalp.ui                      the runs under mlruns/
python -m botscalp.ui store=elsewhere      those of another store
PORT=5001 python -m botscalp.ui            on another port than 5000
"""

import os
import socket
import sys
import threading
import urllib.request
import warnings
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from botscalp.errors import UserError

HOST = "127.0.0.1"
ANSWER_S = 120
"""longer than any machine needs to start"""


def main() -> None:
    """Serve until interrupted."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        return
    with suppress(KeyboardInterrupt):
        try:
            serve(store_of(sys.argv[1:]), port_of(os.environ.get("PORT", "5000")))
        except UserError as error:
            print(error, file=sys.stderr)
            sys.exit(2)


def serve(store: Path, port: int) -> None:
    """Say where the studies are once MLflow answers, and be its server in this very process.

    MLflow's own command starts several: twice the seconds, and four times the memory.

    Raises:
        UserError: there are no runs, or the port is taken.
    """
    from botscalp.pipeline.tracking.spool import replay
    from botscalp.pipeline.tracking.store import address, database_of

    replay(store)
    database_of(store)
    with listening(port) as connections:
        print("MLflow is starting ...", file=sys.stderr, flush=True)
        os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        links = links_to(store, port)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # libraries warn about each other
            import uvicorn
            from mlflow.server.fastapi_app import app
            from mlflow.server.handlers import initialize_backend_stores
        initialize_backend_stores(address(store), address(store), str(store.resolve() / "artifacts"))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
        threading.Thread(target=announce, args=(links, port), daemon=True).start()
        server.run(sockets=[connections])


def links_to(store: Path, port: int) -> dict[str, str]:
    """Where each study is found, by its name; the one with the newest run comes first.

    What the pages show of a study is brought up to date: runs that came from another machine did not see to it.
    """
    from botscalp.pipeline.tracking.store import client_of, studies_of
    from botscalp.pipeline.tracking.study import present_study
    from botscalp.pipeline.tracking.view import link

    client = client_of(store)
    studies = studies_of(client)
    newest = {
        name: max((run.info.start_time for run in present_study(client, study, store)), default=0)
        for name, study in studies.items()
    }
    return {name: link(port, studies[name]) for name in sorted(studies, key=lambda name: -newest[name])}


def announce(links: dict[str, str], port: int) -> None:
    """Wait until the server answers, print the links, and open the first where somebody sits before a browser."""
    urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=ANSWER_S).read()
    width = max(map(len, links), default=0)
    for name, link in links.items():
        print(f"{name:<{width}}  {link}", flush=True)
    if links and watched():
        webbrowser.open(next(iter(links.values())))


def watched() -> bool:
    """Whether there is a terminal and a screen; never where tests run."""
    screen = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return sys.stdout.isatty() and not os.environ.get("CI") and bool(screen)


def listening(port: int) -> socket.socket:
    """A socket that takes connections from now on; they are answered once there is a server.

    Raises:
        UserError: another program has the port.
    """
    connections = socket.socket()
    connections.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        connections.bind((HOST, port))
    except OSError as error:
        connections.close()
        remedy = f"end it, perhaps an earlier `make ui`, or take another port: PORT={port + 1} make ui"
        raise UserError("PORT", port, error.strerror.lower() if error.strerror else str(error), remedy) from None
    connections.listen()
    return connections


def port_of(text: str) -> int:
    """The port that a text names."""
    if not text.isdecimal() or not 1 <= int(text) <= 65_534:
        raise UserError("PORT", text, "is no port", "a number from 1 to 65534, such as PORT=5001 make ui")
    return int(text)


def store_of(words: Sequence[str]) -> Path:
    """The store that the command line names."""
    store = "mlruns"
    for word in words:
        key, _, store = word.partition("=")
        if key != "store" or not store:
            raise UserError(key, store, "no such key", "the only one is store=<folder>; the port is PORT=5001 make ui")
    return Path(store)


if __name__ == "__main__":
    main()
