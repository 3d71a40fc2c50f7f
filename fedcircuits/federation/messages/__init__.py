"""What travels between server and clients, and how it is checked: the one part of the core that knows Flower.

A message carries one ArrayRecord (weights) and one MetricRecord (fixed keys), because Flower's strategies insist on
exactly one of each and average them; everything else is in ConfigRecords, masks and circuits as packed bits.
Decoding trusts nothing: whatever does not fit raises `ReplyError` with the reason to log.
"""

from fedcircuits.federation.messages.evaluate_replies import decode_view, encode_view
from fedcircuits.federation.messages.instructions import Instruction, decode_instruction, decode_settings, encode_config
from fedcircuits.federation.messages.introductions import MOST_PARTITIONS, decode_node, encode_node
from fedcircuits.federation.messages.studies import decode_circuits, encode_circuits
from fedcircuits.federation.messages.train_replies import decode_update, encode_update
from fedcircuits.federation.messages.weights import LARGEST_WEIGHT, decode_weights, encode_weights

__all__ = [
    "LARGEST_WEIGHT",
    "MOST_PARTITIONS",
    "Instruction",
    "decode_circuits",
    "decode_instruction",
    "decode_node",
    "decode_settings",
    "decode_update",
    "decode_view",
    "decode_weights",
    "encode_circuits",
    "encode_config",
    "encode_node",
    "encode_update",
    "encode_view",
    "encode_weights",
]
