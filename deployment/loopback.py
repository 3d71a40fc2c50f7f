"""A federation on the loopback interface: one SuperLink, several SuperNodes, each with its own home and images."""

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from deployment.certificates import make_authority, make_node_key, make_server_certificate
from deployment.commands import CommandError, installed, run_command, show
from fedcircuits.settings.app_config import PROJECT
from sweep.processes import end_processes, free_ports, output_of, start_process, wait_for_port

CONNECTION: Final = "loopback"

_PATIENCE_S: Final = 10
"""How long a process may take to end by itself before it is killed."""


class Loopback:
    """Starts a federation on entering, runs the app on it, and ends everything on leaving.

    Args:
        folder: gets certificates, keys, homes and logs; made if missing.
        nodes: what each SuperNode says in `--node-config` besides its partition; the position is the partition id.
        is_secure: with TLS and registered keys, or without either.
        num_nodes: how many of them are registered and started on entering; the others are left to `start_node`.
    """

    def __init__(
        self, folder: Path, nodes: Sequence[Mapping[str, Any]], is_secure: bool = True, num_nodes: int | None = None
    ) -> None:
        self.folder = folder.resolve()
        self.is_secure = is_secure
        self._nodes = nodes
        self._num_nodes = len(nodes) if num_nodes is None else num_nodes
        self._port, *self._node_ports = free_ports(1 + len(nodes))

    @property
    def authority(self) -> Path:
        """The certificate that everyone checks the SuperLink's by."""
        return self.folder / "certificates" / "ca.crt"

    def environment(self, who: str) -> dict[str, str]:
        """Return the environment of `superlink`, `operator` or `node-<i>`: each has a Flower home of its own."""
        home = self.folder / who / "flwr"
        home.mkdir(parents=True, exist_ok=True)
        return {**os.environ, "FLWR_HOME": str(home), "FLWR_TELEMETRY_ENABLED": "0", "PYTHONUNBUFFERED": "1"}

    def __enter__(self) -> Self:
        try:
            self._start_superlink()
            for partition_id in range(self._num_nodes):
                if self.is_secure:
                    self.register(self._make_key(f"node-{partition_id}"), self._name(partition_id))
                self.start_node(partition_id)
        except BaseException:
            self.__exit__(None, None, None)  # which Python calls only for what has been entered
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        end_processes(self.folder.glob("*/flwr"), _PATIENCE_S)

    def register(self, public_key: Path, name: str) -> None:
        """Tell the SuperLink to let in whoever has the other half of this key."""
        command = [installed("flwr"), "supernode", "register", str(public_key), CONNECTION, "--name", name]
        run_command(command, self.environment("operator"))

    def start_node(
        self, partition_id: int, authority: Path | None = None, key: Path | None = None
    ) -> "subprocess.Popen[bytes]":
        """Start a SuperNode, also one that was stopped before.

        Args:
            partition_id: which.
            authority: the certificate that it trusts; None = the right one.
            key: its private key; None = the one that is registered.
        """
        who = f"node-{partition_id}"
        config = {"partition-id": partition_id, "num-partitions": self._num_nodes, **self._nodes[partition_id]}
        command = [installed("flower-supernode"), "--superlink", f"127.0.0.1:{self._port}"]
        if self.is_secure:
            command += ["--root-certificates", str(authority or self.authority)]
            command += ["--auth-supernode-private-key", str(key or self.folder / who / who)]
        else:
            command += ["--insecure"]
        command += ["--port", str(self._node_ports[partition_id]), "--node-config", _toml_pairs(config)]
        return self._start(command, who, self.node_log(partition_id))

    def stop_node(self, partition_id: int, is_killed: bool = False) -> None:
        """Stop a SuperNode and its ClientApp: as a service is stopped, or as by a power cut."""
        end_processes([self.folder / f"node-{partition_id}" / "flwr"], 0 if is_killed else _PATIENCE_S)

    def node_log(self, partition_id: int) -> Path:
        """Return what a SuperNode has said."""
        return self.folder / f"node-{partition_id}" / "supernode.log"

    def run(self, settings: Mapping[str, Any], on_line: Callable[[str], None] = lambda _: None) -> Path | None:
        """Run the app to its end.

        Args:
            settings: of the run, by their keys; `run-dir` is set to the federation's folder.
            on_line: gets every line of the console.

        Returns:
            The run directory; None if the run did not come so far.
        """
        config = _toml_pairs({"run-dir": str(self.folder / "runs"), **settings})
        command = [installed("flwr"), "run", str(PROJECT), CONNECTION, "--stream", "--run-config", config]
        show(command)
        directory = None
        with output_of(command, self.environment("operator")) as lines:
            for line in lines:
                on_line(line.rstrip("\n"))
                found = re.match(r"run directory: (.+)", line.strip())
                directory = Path(found[1]) if found else directory
        return directory

    def _start_superlink(self) -> None:
        """Start the SuperLink, with a certificate of its own, and tell Flower's command line where it is."""
        command = [installed("flower-superlink"), "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--database", "state.db", "--disable-runtime-dependency-installation"]
        trust = "insecure = true"
        if self.is_secure:
            certificates = self.authority.parent
            certificates.mkdir(parents=True, exist_ok=True)
            server = make_server_certificate(
                make_authority(certificates), certificates, ["DNS:localhost", "IP:127.0.0.1"]
            )
            command += ["--ssl-ca-certfile", str(self.authority), "--ssl-certfile", str(server.certificate)]
            command += ["--ssl-keyfile", str(server.key), "--enable-supernode-auth"]
            trust = f'root-certificates = "{self.authority}"'
        else:
            command += ["--insecure"]
        home = Path(self.environment("operator")["FLWR_HOME"])
        connection = f'[superlink.{CONNECTION}]\naddress = "127.0.0.1:{self._port}"\n{trust}\n'
        (home / "config.toml").write_text(connection)
        log = self.folder / "superlink" / "superlink.log"
        if not wait_for_port(self._start(command, "superlink", log), self._port):
            raise CommandError(f"nothing listens on port {self._port}; see {log}")

    def _start(self, command: Sequence[str], who: str, log: Path) -> "subprocess.Popen[bytes]":
        """Start the SuperLink or a SuperNode."""
        show(command)
        environment = self.environment(who)
        return start_process(command, self.folder / who, environment, log, is_detached=True)

    def _make_key(self, who: str) -> Path:
        """Return a SuperNode's public key; made once."""
        key = self.folder / who / who
        key.parent.mkdir(parents=True, exist_ok=True)
        if not key.exists():
            make_node_key(key)
        return key.with_suffix(".pub")

    def _name(self, partition_id: int) -> str:
        return str(self._nodes[partition_id].get("label", f"node-{partition_id}"))


def _toml_pairs(values: Mapping[str, Any]) -> str:
    """Lay out settings as Flower's command line wants them: key=value with TOML's values."""
    return " ".join(f"{key}={_toml(value)}" for key, value in values.items())


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str | Path) else str(value)
