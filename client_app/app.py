"""The Flower ClientApp: decode the message, call the core, encode the reply."""

from flwr.app import ConfigRecord, Context, Message
from flwr.clientapp import ClientApp

from client_app.clipping import clip_where_asked
from client_app.environment import introduce, prepare_client
from fedcircuits.errors import ReplyError
from fedcircuits.federation.local_round import train_client, view_global
from fedcircuits.federation.messages import (
    decode_circuits,
    decode_instruction,
    decode_settings,
    encode_circuits,
    encode_node,
    encode_update,
    encode_view,
)
from fedcircuits.records import Key

app = ClientApp()

__all__ = ["app"]


@app.query()
def query(message: Message, context: Context) -> Message:
    """Say which partition this node is, what it holds and which code it runs; loads the data on the way."""
    return Message(encode_node(introduce(message.content, context.node_config)), reply_to=message)


@app.train(mods=[clip_where_asked])
def train(message: Message, context: Context) -> Message:
    """Train on this client's images and find the circuits of the trained model."""
    client = prepare_client(decode_settings(message.content), context.node_config)
    instruction = decode_instruction(message.content, client.spec, client.settings)
    update = train_client(
        client.settings,
        client.spec,
        instruction.weights,
        client.train,
        client.bench,
        client.partition_id,
        instruction.position,
        instruction.told_apart,
    )
    if update.study is not None:
        # Kept for the evaluate phase, which runs these circuits on the new global weights.
        record = encode_circuits(update.study.circuits)
        record[Key.SERVER_ROUND] = instruction.position.server_round
        context.state[Key.CIRCUITS] = record
    reply = encode_update(update, client.spec, client.partition_id, len(client.train), client.settings.privacy)
    return Message(reply, reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Transplant this client's circuits into the new global model, and find that model's on its own images."""
    client = prepare_client(decode_settings(message.content), context.node_config)
    instruction = decode_instruction(message.content, client.spec, client.settings)
    kept = context.state.get(Key.CIRCUITS)
    if not isinstance(kept, ConfigRecord) or kept[Key.SERVER_ROUND] != instruction.position.server_round:
        raise ReplyError(
            f"partition {client.partition_id} has no circuits of round {instruction.position.server_round}; "
            "it did not train in this round, or was restarted since"
        )
    view = view_global(
        client.settings,
        client.spec,
        instruction.weights,
        client.bench,
        instruction.position,
        decode_circuits(kept, client.spec),
        instruction.trained_classes,
    )
    return Message(encode_view(view, client.partition_id, len(client.train)), reply_to=message)
