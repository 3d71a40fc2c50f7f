"""Which replies of a round can be used: everything else is set aside with a reason, and the round goes on."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from flwr.app import Message, Metadata, RecordDict

from fedcircuits.errors import ReplyError
from strategies.plain_text import one_line


class _Reply(Protocol):
    @property
    def partition_id(self) -> int: ...


Reply = TypeVar("Reply", bound=_Reply)


@dataclass(frozen=True)
class Asked:
    """Whom a phase of a round asked, and how.

    Args:
        partitions: node id to partition id.
        messages: what stands on the messages that were sent, one to each of these nodes.
        timeout_s: seconds that replies were waited for.
    """

    partitions: Mapping[int, int]
    messages: list[Metadata]
    timeout_s: float


@dataclass(frozen=True)
class Screened(Generic[Reply]):
    """A round's replies; everyone who was asked is either accepted or rejected.

    Args:
        messages: the accepted messages, in the order of their partition ids.
        replies: their decoded content, in the same order.
        rejected: partition id to the reason why there is nothing usable from it, ascending.
        ignored: one line for each reply that nobody was asked for.
    """

    messages: list[Message]
    replies: list[Reply]
    rejected: dict[int, str]
    ignored: list[str]


def screen_replies(messages: Iterable[Message], asked: Asked, decode: Callable[[RecordDict], Reply]) -> Screened[Reply]:
    """Decode replies and keep those that are sound.

    Args:
        messages: replies as they came in.
        asked: whom they may come from.
        decode: returns a reply's content, or raises `ReplyError`.
    """
    answers, ignored = _by_partition(messages, asked)
    accepted: list[tuple[Message, Reply]] = []
    rejected: dict[int, str] = {}
    for partition_id in sorted(asked.partitions.values()):
        try:
            message = _only(answers[partition_id], asked.timeout_s)
            accepted.append((message, _decoded(message, partition_id, decode)))
        except ReplyError as error:
            rejected[partition_id] = one_line(str(error))
    return Screened([message for message, _ in accepted], [reply for _, reply in accepted], rejected, ignored)


def _by_partition(messages: Iterable[Message], asked: Asked) -> tuple[dict[int, list[Message]], list[str]]:
    """Tell by the message that a reply answers who it is from; late ones answer a message of an earlier phase."""
    node_of = {sent.message_id: sent.dst_node_id for sent in asked.messages}
    answers: dict[int, list[Message]] = defaultdict(list)
    ignored = []
    for message in messages:
        source, node = message.metadata.src_node_id, node_of.get(message.metadata.reply_to_message_id)
        if node is None:
            ignored.append(f"a reply from node {source} answers no message of this phase: late, or not asked for")
        elif source != node and not message.has_error():
            ignored.append(f"a reply from node {source} answers what partition {asked.partitions[node]} was asked")
        else:
            answers[asked.partitions[node]].append(message)
    return answers, ignored


def _only(answers: list[Message], timeout_s: float) -> Message:
    """Return the one reply of a client; which of several it means, nobody can tell."""
    if not answers:
        raise ReplyError(f"no reply within {timeout_s:g} s (round-timeout-s)")
    if len(answers) > 1:
        raise ReplyError(f"{len(answers)} replies to one message")
    return answers[0]


def _decoded(message: Message, partition_id: int, decode: Callable[[RecordDict], Reply]) -> Reply:
    """Return what a reply says.

    Raises:
        ReplyError: if it cannot be used, for whatever reason.
    """
    if message.has_error():
        # Flower answers in the place of a node that it lost, under its own node id.
        is_flowers = message.metadata.src_node_id == message.metadata.dst_node_id
        raise ReplyError(f"{'no reply' if is_flowers else 'client failed'}: {one_line(message.error.reason)}")
    try:
        reply = decode(message.content)
    except ReplyError:
        raise
    except Exception as error:
        # Bytes from another machine can make any decoder raise anything; none of it may end the run.
        raise ReplyError(f"cannot be decoded: {type(error).__name__}: {error}") from error
    if reply.partition_id != partition_id:
        raise ReplyError(f"claims to be partition {reply.partition_id}")
    return reply
