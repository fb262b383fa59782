"""Secrets that are none: random strings, planted where a user keeps secrets, and looked for in whatever was written."""

import base64
import gzip
import io
import secrets
import shutil
import sqlite3
import string
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

VARIABLES = (
    *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "MLFLOW_TRACKING_PASSWORD", "BINANCE_API_SECRET", "MY_TOKEN"),
    *("HTTPS_PROXY", "BOTSCALP_ARCHIVE"),
)


def new_canary() -> str:
    """39 characters that are nowhere else; the / and + among them are written otherwise in an address."""
    letters = string.ascii_letters + string.digits
    return "/".join(["+".join("".join(secrets.choice(letters) for _ in range(9)) for _ in "ab") for _ in "ab"])


@dataclass(frozen=True)
class Planted:
    """Where the canaries are: a home, a project in git, a folder in which commands are typed, and variables."""

    folder: Path
    by_place: Mapping[str, str]
    """canaries by the place where each was planted"""
    variables: Mapping[str, str]
    """the environment of every command"""
    own: Sequence[Path]
    """the files that hold them because we put them there"""

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def project(self) -> Path:
        return self.folder / "project"

    def __getitem__(self, place: str) -> str:
        return self.by_place[place]


def plant(folder: Path, source: Path) -> Planted:
    """A copy of the project in that folder, as it is now, and secrets around it."""
    places: dict[str, str] = {}

    def canary(place: str) -> str:
        return places.setdefault(place, new_canary())

    home, project, work = folder / "home", folder / "project", folder / "work"
    subprocess.run(["git", "clone", "--quiet", str(source), str(project)], check=True, capture_output=True)
    for part in ("src", "conf"):
        shutil.copytree(source / part, project / part, dirs_exist_ok=True)  # with what is compiled
    for words in (
        ["remote", "set-url", "origin", f"https://user:{quote(canary('git remote'), safe='')}@example.com/repo.git"],
        ["config", "http.extraheader", f"Authorization: Bearer {canary('git extraheader')}"],
    ):
        subprocess.run(["git", "-C", str(project), *words], check=True, capture_output=True)
    key = base64.b64encode(canary("~/.ssh").encode()).decode()
    files = {
        home
        / ".aws/credentials": f"[default]\naws_access_key_id = AKIA\naws_secret_access_key = {canary('~/.aws/credentials')}\n",
        home / ".aws/config": f"[default]\nregion = us-east-1\naws_session_token = {canary('~/.aws/config')}\n",
        home / ".netrc": f"machine 127.0.0.1 login user password {canary('~/.netrc')}\n",
        home / ".ssh/id_ed25519": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{key}\n-----END OPENSSH PRIVATE KEY-----\n",
        work / ".env": f"API_KEY={canary('.env where one works')}\n",
        project / ".env": f"API_KEY={canary('.env of the project')}\n",
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (home / ".netrc").chmod(0o600)
    variables = {name: canary(name) for name in VARIABLES}
    variables["HTTPS_PROXY"] = f"http://user:{quote(canary('HTTPS_PROXY'), safe='')}@127.0.0.1:9"
    variables["BOTSCALP_ARCHIVE"] = f"http://user:{quote(canary('BOTSCALP_ARCHIVE'), safe='')}@127.0.0.1:9"
    canary("hydra.job.env_set as typed")
    canary("base_url as typed")
    own = [*files, project / ".git/config"]
    return Planted(folder, places, {**variables, "HOME": str(home)}, own)


@dataclass
class Search:
    """What was looked into, and where canaries were found."""

    planted: Planted
    files: int = 0
    bytes_: int = 0
    found: list[tuple[str, str, str]] = field(default_factory=list)
    """place planted, form, and the file or what is inside it"""

    def look(self, *folders: Path) -> "Search":
        """Look into every file below the folders, but for those in which canaries were planted; into names, too."""
        forms = {
            (place, form): piece for place, canary in self.planted.by_place.items() for form, piece in forms_of(canary)
        }
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                self._see(str(path), str(path.relative_to(folder)).encode(), forms)
                if path.is_file() and not path.is_symlink() and path not in self.planted.own:
                    self.files += 1
                    for where, content in contents(path):
                        self._see(where, content, forms)
        return self

    def _see(self, where: str, content: bytes, forms: Mapping[tuple[str, str], bytes]) -> None:
        self.bytes_ += len(content)
        self.found += [(place, form, where) for (place, form), piece in forms.items() if piece in content]


def forms_of(canary: str) -> Iterator[tuple[str, bytes]]:
    """What a canary looks like where it was written, as it is or in a usual code."""
    raw = canary.encode()
    yield "as it is", raw
    yield "in an address", quote(canary, safe="").encode()
    yield "in hex", raw.hex().encode()
    for shift in range(3):  # base64 looks otherwise by where in a text it begins; the ends depend on what is around
        yield f"in base64, {shift} bytes in", base64.b64encode(b" " * shift + raw)[4:-4]


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """The bytes of a file, and of what is packed in it: archives, tables, databases."""
    raw = path.read_bytes()
    yield str(path), raw
    if raw.startswith(b"\x1f\x8b"):
        unpacked = gzip.decompress(raw)
        yield f"{path} unpacked", unpacked
        if path.name.endswith(".tar.gz"):
            with tarfile.open(fileobj=io.BytesIO(unpacked)) as tar:
                yield f"{path} names", "\n".join(tar.getnames()).encode()
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for name in archive.namelist():
                yield f"{path}: {name}", archive.read(name)
    elif raw.startswith(b"PAR1"):
        from pyarrow import parquet

        table = parquet.read_table(path)
        yield f"{path}: schema", str(table.schema).encode()
        for name in table.column_names:
            if "string" in str(table.schema.field(name).type):
                yield f"{path}: {name}", "\n".join(map(str, table[name].unique().to_pylist())).encode()
    elif raw.startswith(b"SQLite format 3\0"):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            yield f"{path}: tables", "\n".join(database.iterdump()).encode()
