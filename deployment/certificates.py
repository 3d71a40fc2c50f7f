"""Who is who: an authority, the SuperLink's certificate, the SuperNodes' keys; made with openssl and ssh-keygen."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deployment.commands import run_command

_VALID_DAYS = 365


@dataclass(frozen=True)
class Authority:
    """Signs certificates. Every machine gets `certificate`; `key` stays where certificates are made."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class ServerCertificate:
    """What the SuperLink shows to show that it is the SuperLink; `key` stays on its machine."""

    certificate: Path
    key: Path


def make_authority(folder: Path) -> Authority:
    """Make an authority for one federation."""
    authority = Authority(folder / "ca.crt", folder / "ca.key")
    command = f"openssl req -x509 -newkey rsa:4096 -nodes -days {_VALID_DAYS}".split()
    command += ["-subj", "/CN=FedCircuits CA", "-addext", "basicConstraints=critical,CA:TRUE"]
    command += ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    run_command([*command, "-keyout", str(authority.key), "-out", str(authority.certificate)])
    return authority


def make_server_certificate(authority: Authority, folder: Path, names: Sequence[str]) -> ServerCertificate:
    """Make the SuperLink's certificate.

    Args:
        authority: signs it.
        folder: where it goes.
        names: under which SuperNodes reach the SuperLink, e.g. `DNS:fl.example.org`; `DNS:localhost` and `IP:127.0.0.1`
            must be among them, because the ServerApp talks to its own SuperLink.
    """
    made = ServerCertificate(folder / "server.pem", folder / "server.key")
    request, extensions = folder / "server.csr", folder / "server.ext"
    extensions.write_text(f"subjectAltName={','.join(names)}\nextendedKeyUsage=serverAuth\n")
    command = ["openssl", "req", "-newkey", "rsa:4096", "-nodes", "-subj", "/CN=SuperLink"]
    run_command([*command, "-keyout", str(made.key), "-out", str(request)])
    command = f"openssl x509 -req -days {_VALID_DAYS} -CAcreateserial".split()
    command += ["-CA", str(authority.certificate), "-CAkey", str(authority.key), "-extfile", str(extensions)]
    run_command([*command, "-in", str(request), "-out", str(made.certificate)])
    return made


def make_node_key(path: Path) -> None:
    """Make a SuperNode's key pair, `path` and `path.pub`; only the latter leaves the SuperNode's machine."""
    command = ["ssh-keygen", "-q", "-t", "ecdsa", "-b", "384", "-N", ""]
    run_command([*command, "-C", path.name, "-f", str(path)])
