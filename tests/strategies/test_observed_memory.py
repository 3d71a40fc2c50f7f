"""What the server keeps of a round's replies."""

from federation import InProcessGrid
from flwr.app import Message

from fedcircuits.records import Key


def test_the_weights_of_a_round_are_not_kept_twice(federate):
    came: list[Message] = []

    def note(reply: Message, partition_id: int) -> Message:
        came.append(reply)
        if partition_id == 2 and Key.UPDATE in reply.content:
            reply.content[Key.UPDATE][Key.PARTITION_ID] = 0  # which is refused
        return reply

    federate(InProcessGrid(3, tamper=note), circuit_every=0)
    assert len([reply for reply in came if Key.METRICS in reply.content]) == 6
    assert not any(reply.content.array_records for reply in came)
