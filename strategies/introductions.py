"""What a node answers when it is asked who it is: a client, or the reason why it cannot be one."""

import re
from dataclasses import dataclass, replace

from flwr.app import Error, Message
from flwr.common.constant import ErrorCode

from fedcircuits.data.labels import client_name
from fedcircuits.errors import ReplyError
from fedcircuits.federation.digest import CLIENT_SIDE, code_digest
from fedcircuits.federation.messages import decode_node
from fedcircuits.federation.replies import NodeInfo
from fedcircuits.settings.privacy import PrivacySettings
from strategies.plain_text import few_lines, one_line
from strategies.refusals import Refusal

_FOREIGN = re.compile("No module named|cannot import name|Can't get attribute")
"""What Python says where a client's code is not the one that it was sent."""

_FOREIGN_HINT = (
    " – Flower's background process was probably started in a folder that holds modules of the same names as this "
    "app's; stop it, and run again from this project's folder"
)
"""What is likely behind it, which such an error does not say."""

_FINAL_ERRORS = frozenset(
    {ErrorCode.LOAD_CLIENT_APP_EXCEPTION, ErrorCode.CLIENT_APP_RAISED_EXCEPTION, ErrorCode.INVALID_FAB}
)
"""Errors that asking again does not mend; others pass, such as a node that is not reachable for a moment."""


@dataclass(frozen=True)
class PassingError:
    """Why a node could not answer this time."""

    reason: str


def read_introduction(
    reply: Message, num_classes: int, privacy: PrivacySettings, registered_name: str
) -> NodeInfo | Refusal | PassingError:
    """Return what a node is, as far as its answer says so.

    Args:
        reply: what came back.
        num_classes: classes of the dataset.
        privacy: says what clients tell of what they hold.
        registered_name: under which the operator has registered the node, its label if it says none; "" = none.
    """
    if reply.has_error():
        return _read_error(reply.error, registered_name)
    try:
        info = decode_node(reply.content, num_classes, privacy)
    except Exception as error:
        # Bytes from another machine can make any decoder raise anything; none of it may end the run.
        said = str(error) if isinstance(error, ReplyError) else f"{type(error).__name__}: {error}"
        node = reply.metadata.src_node_id
        return Refusal(one_line(f"node {node} does not speak this project's messages: {said}"))
    return replace(info, label=info.label or registered_name)


def misfit(info: NodeInfo, num_partitions: int, has_twin: bool) -> Refusal | None:
    """Return why a node cannot take part in a federation; None if it can.

    Args:
        info: what it says.
        num_partitions: clients of the federation.
        has_twin: another node serves the same partition.
    """
    who = client_name(info.partition_id, info.label)
    if info.problem:
        return Refusal(few_lines(info.problem), who)
    if info.code_digest != code_digest(CLIENT_SIDE):
        return Refusal(
            f"{who} runs other code than the server (digest {info.code_digest[:12]}, "
            f"server {code_digest(CLIENT_SIDE)[:12]}). Install the same version everywhere; in simulation, a "
            "background SuperLink that was started in another folder serves that folder's code: stop it and run again."
        )
    if info.num_partitions != num_partitions:
        return Refusal(
            f"{who} believes in {info.num_partitions} clients, others in "
            f"{num_partitions}; give every node the same num-partitions"
        )
    if has_twin:
        return Refusal(f"two nodes serve partition {info.partition_id}; give each its own partition-id")
    return None


def _read_error(error: Error, registered_name: str) -> Refusal | PassingError:
    is_foreign = _FOREIGN.search(error.reason or "")
    reason = one_line(error.reason) + (_FOREIGN_HINT if is_foreign else "")
    if error.code in _FINAL_ERRORS or is_foreign:
        return Refusal(reason, registered_name)
    return PassingError(reason)
