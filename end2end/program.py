"""The built program: where it is, what it finds in its environment, and a server of it."""

import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Self

CHECKOUT = Path(__file__).resolve().parents[1]


def program() -> Path:
    """The slipway that is tested: SLIPWAY_BIN, or the one that cargo built last."""
    if "SLIPWAY_BIN" in os.environ:
        return Path(os.environ["SLIPWAY_BIN"])
    return Path(os.environ.get("CARGO_TARGET_DIR", CHECKOUT / "target")) / "debug" / "slipway"


def environment(**more: str) -> dict[str, str]:
    """Ours without what would change the program: it runs its own database."""
    changing = ("SLIPWAY_", "MLFLOW_", "DATABASE_URL")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(changing) or name == "SLIPWAY_STEP_ENV"
    }
    return kept | more


def step_environment() -> dict[str, str]:
    """What a worker gives on to its steps."""
    names = os.environ.get("SLIPWAY_STEP_ENV", "").split(",")
    return {name: os.environ[name] for name in names if name in os.environ}


def admin(data_dir: Path, *arguments: str, stdin: str = "") -> str:
    """Runs a command of the program beside a server, and gives what it printed."""
    command = [program(), "admin", *arguments, "--data-dir", data_dir]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, env=environment())
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def reachable(folder: Path) -> Path:
    """A folder that a private database can live in: its own user must reach it."""
    for each in [folder, *folder.parents][:3]:
        each.chmod(0o755)
    return folder


@dataclass
class Server:
    """A running Slipway on a free port, with a private database."""

    url: str
    data_dir: Path
    process: subprocess.Popen

    @classmethod
    def start(cls, data_dir: Path, *options: str, **variables: str) -> Self:
        """Starts it, and gives it once it answers."""
        log = data_dir / "server.log"
        command = [program(), "serve", "--listen", "127.0.0.1:0", "--data-dir", data_dir, *options]
        with log.open("w") as file:
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment(**variables))
        server = cls("", data_dir, process)
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and process.poll() is None:
            if said := re.search(r"Slipway serves at (http://\S+)", log.read_text()):
                try:
                    urllib.request.urlopen(f"{said[1]}/readyz", timeout=10).close()
                    server.url = said[1]
                    return server
                except (urllib.error.URLError, TimeoutError):
                    pass
            time.sleep(0.1)
        server.stop()
        raise AssertionError(f"the server did not start:\n{log.read_text()}")

    def stop(self) -> None:
        """Ends it."""
        self.process.terminate()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=10)
