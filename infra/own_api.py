"""An API by itself, with a broker, a Redis and bundles that nobody else uses."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from dataflows.settings import Settings
from infra.ports import LOOPBACK, Ports
from infra.stack import Stack
from infra.supervisor import Program, Supervisor
from models.bundle import write_manifest
from models.manifest import ACTIVE, MANIFEST

__all__ = ["COPY", "OwnApi", "own_api", "own_bundles"]

API: Final = "api"
COPY: Final = "copy"  # version of a face bundle that scores as the one in use
START_S: Final = 120.0


class OwnApi(NamedTuple):
    """Where it listens, and its process."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """Return the seconds of processor time that it has taken."""
        # The name of the program, which may have any sign in it, is in brackets.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")  # user, system


def own_bundles(given: Path, own: Path) -> str:
    """Make a folder of bundles with a copy of the face model; return the version in use."""
    version = (given / "face" / ACTIVE).read_text(encoding="utf-8").strip()
    for name in (version, COPY):
        shutil.copytree(given / "face" / version, own / "face" / name)
    manifest = json.loads((own / "face" / COPY / MANIFEST).read_text(encoding="utf-8"))
    del manifest["files"]
    write_manifest(own / "face" / COPY, **(manifest | {"version": COPY}))
    (own / "face" / ACTIVE).write_text(f"{version}\n", encoding="utf-8")
    if (given / "text").is_dir():
        (own / "text").symlink_to((given / "text").resolve())
    return version


@contextmanager
def own_api(settings: Settings) -> Iterator[OwnApi]:
    """Run an API with servers of its own for as long as the context lasts."""
    with ExitStack() as resources:
        directory = Path(resources.enter_context(tempfile.TemporaryDirectory()))
        ports = resources.enter_context(Ports())
        supervisor = resources.enter_context(Supervisor(directory))
        stack = Stack(settings, supervisor, ports, directory)
        stack.start_servers()
        port = ports.free()
        env: dict[str, str | None] = {
            "SENTISTREAM_KAFKA__BROKERS": stack.settings.kafka.brokers,
            "SENTISTREAM_REDIS__URL": stack.settings.redis.url.get_secret_value(),
            "SENTISTREAM_BUNDLES": str(settings.bundles),
            "SENTISTREAM_API__HOST": LOOPBACK,
            "SENTISTREAM_API__PORT": str(port),
            "SENTISTREAM_API__TOKEN": None,
            "SENTISTREAM_API__REQUESTS_PER_MINUTE": "0",
        }
        argv = [sys.executable, "-m", "serving"]
        supervisor.start(Program(API, argv, lambda: _ready(port), env, START_S))
        yield OwnApi(port, supervisor.pid(API))


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=1):
            return True
    except OSError:  # an HTTPError is one, too
        return False
