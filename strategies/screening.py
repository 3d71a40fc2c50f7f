"""Which replies of a round can be used: everything else is set aside with a reason, and the round goes on."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from flwr.app import Message, RecordDict

from fedcircuits.errors import ReplyError

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""What terminals read as a change of colour; Ray puts it into its errors."""

_LONGEST_REASON = 500
"""Characters of a client's error that are logged."""


class _Reply(Protocol):
    @property
    def partition_id(self) -> int: ...


Reply = TypeVar("Reply", bound=_Reply)


@dataclass(frozen=True)
class Screened(Generic[Reply]):
    """A round's replies.

    Args:
        messages: the accepted messages, in the order of their partition ids.
        replies: their decoded content, in the same order.
        rejected: partition id to the reason why there is nothing usable from it.
    """

    messages: list[Message]
    replies: list[Reply]
    rejected: dict[int, str]


def screen_replies(
    messages: Iterable[Message], asked: Mapping[int, int], decode: Callable[[RecordDict], Reply]
) -> Screened[Reply]:
    """Decode replies and keep those that are sound.

    Args:
        messages: replies as they came in.
        asked: node id to partition id of everyone who was asked.
        decode: returns a reply's content, or raises `ReplyError`.
    """
    accepted: dict[int, tuple[Message, Reply]] = {}
    rejected: dict[int, str] = {}
    unattributed: list[str] = []
    for message in messages:
        partition_id = asked.get(message.metadata.src_node_id)
        if partition_id is None:
            # Flower answers in the place of a node that it lost, under its own node id.
            unattributed.append(one_line(message.error.reason) if message.has_error() else "reply from an unknown node")
        elif message.has_error():
            rejected[partition_id] = f"client failed: {one_line(message.error.reason)}"
        elif partition_id not in accepted:
            try:
                reply = decode(message.content)
                if reply.partition_id != partition_id:
                    raise ReplyError(f"claims to be partition {reply.partition_id}")
            except ReplyError as error:
                rejected[partition_id] = str(error)
            except Exception as error:
                # Bytes from another machine can make any decoder raise anything; none of it may end the run.
                rejected[partition_id] = one_line(f"cannot be decoded: {type(error).__name__}: {error}")
            else:
                accepted[partition_id] = (message, reply)
    for partition_id in asked.values():
        if partition_id not in accepted and partition_id not in rejected:
            rejected[partition_id] = "no reply" + (f": {'; '.join(sorted(set(unattributed)))}" if unattributed else "")
    ordered = [accepted[partition_id] for partition_id in sorted(accepted)]
    return Screened([message for message, _ in ordered], [reply for _, reply in ordered], rejected)


def one_line(reason: str | None) -> str:
    """Return the reason of an error reply without line breaks, and no longer than a reader can take in."""
    text = " ".join(_COLOUR.sub("", reason or "no reason given").split())
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"
