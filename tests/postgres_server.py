"""A PostgreSQL server of the tests' own, from Debian's package `postgresql`."""

import contextlib
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

# With everything that a URL must encode.
PASSWORD = "p@ss/w:rd %?"


class Server:
    def __init__(self, binaries: Path, port: int, control):
        self._binaries, self._port = binaries, port
        self._numbers = itertools.count()
        self.control = control  # control("stop"), control("start")

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"strop_{next(self._numbers)}"
        self.run("createdb", name)
        return f"postgresql://strop:{quote(PASSWORD, safe='')}@127.0.0.1:{self._port}/{name}"

    def run(self, program: str, *arguments: str) -> str:
        """A client program of PostgreSQL against this server; answers what it prints."""
        environment = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(self._port), "PGUSER": "strop",
                       "PGPASSWORD": PASSWORD}
        return subprocess.run([self._binaries / program, *arguments], env=environment, check=True, timeout=60,
                              stdout=subprocess.PIPE, text=True).stdout


@contextlib.contextmanager
def running():
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    assert installed, "Debian's package postgresql is missing: setup/setup.sh services"
    binaries = installed[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="strop-postgres-"))
    as_user = {}
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(folder, "postgres", "postgres")
    (folder / "password").write_text(PASSWORD)

    def run(program, *arguments):
        made = subprocess.run([binaries / program, "-D", folder / "data", *arguments], **as_user, cwd=folder,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=120)
        assert made.returncode == 0, f"{program}: {made.stdout}"

    try:
        # A locale whose order of texts is not that of their bytes.
        run("initdb", "--username=strop", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--encoding=UTF8",
            "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories="

        def control(what):
            run("pg_ctl", "--wait", "--mode=immediate", f"--log={folder / 'log'}", f"--options={options}", what)

        control("start")
        try:
            yield Server(binaries, port, control)
        finally:
            control("stop")
    finally:
        shutil.rmtree(folder)
