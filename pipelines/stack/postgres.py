"""A PostgreSQL server as a process of this machine. It listens on a socket of its folder alone, so that nobody connects
but this user and root.

PostgreSQL refuses to run as root: there it runs as the user whom Debian's package makes, who may read everything, since
a folder of root's is often closed to others.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from monsoon.pipelines.progress import Progress, no_progress
from monsoon.pipelines.stack.errors import StackError
from monsoon.pipelines.stack.processes import StackProcess, stop

POSTGRES = "postgres"
_DEBIAN = Path("/usr/lib/postgresql")
_USERS = ("postgres", "nobody")
_PATIENCE_S = 60
_GRACE_S = 15
_ORPHANS_S = 10.0
_LOOK_S = 0.02
_SOCKET = ".s.PGSQL.5432"
_MAX_SOCKET_PATH = 107
"""Of Linux: `sun_path` has 108 bytes, the last of which is zero."""
_READY_LINE = 7
"""Of postmaster.pid: where the server says that it accepts connections."""


def postgres_programs() -> Path | None:
    """The folder of `initdb` and `postgres`: Debian's of the highest version, else where PATH has them; None: none."""
    versions = [each for each in _DEBIAN.glob("*/bin") if (each / "initdb").is_file() and each.parent.name.isdecimal()]
    if versions:
        return max(versions, key=lambda each: int(each.parent.name))
    found = shutil.which("initdb")
    return None if found is None else Path(found).resolve().parent


class PostgresServer:
    """The server of a folder, with its data in `postgres/`. Started again on the same folder, it has its data."""

    def __init__(self, folder: Path, settings: Sequence[str] = (), home: Path | None = None) -> None:
        """`settings` are of the form `name=value`; `home` is for data and socket, in the place of `postgres/`."""
        self.process = StackProcess(folder, POSTGRES)
        self._home = (home or folder / POSTGRES).absolute()
        self._data = self._home / "data"
        self._real_data = os.path.realpath(self._data)
        """As the kernel names it, where a folder is a link."""
        self._settings = settings
        self._user = _user()

    @property
    def address(self) -> str:
        """Of its superuser, for libpq and for yoyo."""
        return self.address_of("postgres")

    def address_of(self, database: str) -> str:
        """Of its superuser in a database."""
        return f"postgresql://monsoon@/{database}?host={quote(str(self._home))}"

    def start(self, progress: Progress = no_progress) -> None:
        """Starts it, and returns when it accepts connections. Raises StackError."""
        self.launch()
        self.wait_until_ready(progress)

    def launch(self) -> None:
        """Starts it, without waiting. Raises StackError."""
        if len(os.fsencode(self._home / _SOCKET)) > _MAX_SOCKET_PATH:
            raise StackError(
                f"{self._home}: the path is too long for PostgreSQL's socket; give one with a shorter path"
            )
        if "," in str(self._home):
            raise StackError(f"{self._home}: a comma parts folders of PostgreSQL's sockets; give a path without any")
        if self._data.exists():
            self._wait_for_orphans()
        else:
            self._home.mkdir(parents=True, exist_ok=True)
            if self._user is not None:
                os.chown(self._home, self._user.pw_uid, self._user.pw_gid)
            self._make_data()
        options = ["listen_addresses=", "unix_socket_permissions=0700", *self._settings]
        arguments = ["-D", str(self._data), "-k", str(self._home)]
        command = self._command("postgres", *arguments, *(word for each in options for word in ("-c", each)))
        self.process.start(command, stop_signal=signal.SIGINT)  # ends sessions; SIGTERM would wait for them

    def wait_until_ready(self, progress: Progress = no_progress) -> None:
        """Returns when it accepts connections. Raises StackError."""
        self.process.wait_until(self._is_ready, _PATIENCE_S, progress)

    def stop(self) -> None:
        """Ends it in good order."""
        stop([self.process], _GRACE_S)

    def kill(self) -> None:
        """Ends it as a crash does."""
        stop([self.process], 0)

    def _is_ready(self) -> bool:
        with suppress(OSError):
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            return (
                len(lines) > _READY_LINE
                and lines[_READY_LINE].strip() == "ready"
                and int(lines[0]) == self.process.pid  # not of one that crashed before
            )
        return False

    def _make_data(self) -> None:
        """Whole or not at all, also where this is killed."""
        partial = self._home / "data.partial"
        shutil.rmtree(partial, ignore_errors=True)
        words = ("--username=monsoon", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        with tempfile.TemporaryFile() as output:
            made = subprocess.run(
                self._command("initdb", "-D", str(partial), *words),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            output.seek(0)
            lines = output.read().decode(errors="replace").strip().splitlines()
        if made.returncode:
            shutil.rmtree(partial, ignore_errors=True)
            raise StackError(f"initdb failed ({made.returncode}): {lines[-1] if lines else 'without a word'}")
        partial.rename(self._data)

    def _wait_for_orphans(self) -> None:
        """The children of a server that crashed end by themselves; until then another one would not start. They are
        known by their working folder: PostgreSQL writes their titles over the environment. Raises StackError."""
        end_s = time.monotonic() + _ORPHANS_S
        while orphans := [pid for pid in filter(str.isdecimal, os.listdir("/proc")) if self._works_here(pid)]:
            if time.monotonic() > end_s:
                raise StackError(f"{self._data}: other processes work here: {', '.join(orphans)}; end them")
            time.sleep(_LOOK_S)

    def _works_here(self, pid: str) -> bool:
        with suppress(OSError):
            return os.readlink(f"/proc/{pid}/cwd") == self._real_data
        return False

    def _command(self, program: str, *arguments: str) -> list[str]:
        programs = postgres_programs()
        if programs is None:
            raise StackError("no PostgreSQL on this machine; on Debian and Ubuntu install the package postgresql")
        command = [str(programs / program), *arguments]
        if self._user is None:
            return command
        reads_all = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
        ids = (f"--reuid={self._user.pw_uid}", f"--regid={self._user.pw_gid}", "--clear-groups")
        return ["setpriv", *ids, *reads_all, *command]


def _user() -> pwd.struct_passwd | None:
    """Whom the server runs as; None: whoever this is."""
    if os.geteuid() != 0:
        return None
    for name in _USERS:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise StackError("PostgreSQL does not run as root, and there is no other user on this machine")
