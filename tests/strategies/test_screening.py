"""Which replies are whose, and what becomes of those that come twice, late, from strangers or not at all."""

from dataclasses import dataclass

import pytest
from flwr.app import ConfigRecord, Error, Message, MessageType, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from fedcircuits.errors import ReplyError
from strategies.screening import Asked, screen_replies

SERVER_NODE = 1
NODES = {70: 0, 80: 1, 90: 2}


@dataclass(frozen=True)
class Answer:
    partition_id: int


def decode(content: RecordDict) -> Answer:
    value = content["answer"]["partition"]
    if value == 99:
        raise ReplyError("is \x1b[31mbad\x1b[0m\nindeed")
    return Answer(value)


@pytest.fixture
def questions() -> list[Message]:
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, SERVER_NODE
    sent = [Message(RecordDict(), dst_node_id=node, message_type=MessageType.TRAIN) for node in NODES]
    for number, message in enumerate(sent):
        message.metadata._message_id = f"question {number}"
    return sent


def answer(question: Message, partition_id: int) -> Message:
    return Message(RecordDict({"answer": ConfigRecord({"partition": partition_id})}), reply_to=question)


def screen(questions, replies):
    asked = Asked(NODES, [question.metadata for question in questions], timeout_s=30)
    return screen_replies(replies, asked, decode)


def test_sound_replies_come_back_in_the_order_of_their_partitions(questions):
    replies = [answer(question, number) for number, question in enumerate(questions)]
    screened = screen(questions, reversed(replies))
    assert [reply.partition_id for reply in screened.replies] == [0, 1, 2]
    assert screened.messages == replies
    assert (screened.rejected, screened.ignored) == ({}, [])


def test_a_client_that_is_silent_is_told_how_long_it_was_waited_for(questions):
    screened = screen(questions, [answer(questions[1], 1)])
    assert screened.rejected == dict.fromkeys([0, 2], "no reply within 30 s (round-timeout-s)")


@pytest.mark.parametrize("second", [1, 99], ids=["sound", "unsound"])
@pytest.mark.parametrize("is_first", [True, False])
def test_of_two_replies_to_one_message_neither_counts_whatever_their_order(questions, second, is_first):
    twice = [answer(questions[1], 1), answer(questions[1], second)]
    screened = screen(questions, [*(twice if is_first else reversed(twice)), answer(questions[0], 0)])
    assert [reply.partition_id for reply in screened.replies] == [0]
    assert screened.rejected[1] == "2 replies to one message"


def test_a_late_reply_is_not_taken_for_the_answer_to_this_rounds_message(questions):
    late = answer(questions[1], 1)
    late.metadata._reply_to_message_id = "question of an earlier round"
    alone = screen(questions, [late])
    assert alone.rejected[1] == "no reply within 30 s (round-timeout-s)"
    assert alone.ignored == ["a reply from node 80 answers no message of this phase: late, or not asked for"]
    with_answer = screen(questions, [late, answer(questions[1], 1)])
    assert [reply.partition_id for reply in with_answer.replies] == [1]


def test_a_reply_from_an_unknown_node_or_in_anothers_place_is_ignored(questions):
    strange, false = answer(questions[0], 0), answer(questions[1], 1)
    strange.metadata._src_node_id = 5
    strange.metadata._reply_to_message_id = "no question"
    false.metadata._src_node_id = 90
    screened = screen(questions, [strange, false, answer(questions[2], 2)])
    assert [reply.partition_id for reply in screened.replies] == [2]
    assert set(screened.rejected) == {0, 1}
    assert screened.ignored[1] == "a reply from node 90 answers what partition 1 was asked"


def test_a_client_cannot_speak_for_another_partition(questions):
    screened = screen(questions, [answer(questions[0], 1), answer(questions[1], 1)])
    assert [reply.partition_id for reply in screened.replies] == [1]
    assert screened.rejected[0] == "claims to be partition 1"


def test_flowers_own_answer_for_a_lost_node_is_told_from_a_clients_failure(questions):
    lost = Message(Error(code=5, reason="Node Unavailable"), reply_to=questions[0])
    lost.metadata._src_node_id = SERVER_NODE
    failed = Message(Error(code=2, reason="\x1b[36mboom\x1b[0m\n  at line 3"), reply_to=questions[1])
    screened = screen(questions, [lost, failed])
    assert screened.rejected[0] == "no reply: Node Unavailable"
    assert screened.rejected[1] == "client failed: boom at line 3"


def test_every_reason_is_plain_text_whoever_wrote_it(questions):
    screened = screen(questions, [answer(questions[0], 99), Message(RecordDict(), reply_to=questions[1])])
    assert screened.rejected[0] == "is bad indeed"
    assert screened.rejected[1].startswith("cannot be decoded: KeyError")
