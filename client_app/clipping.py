"""Clipping of a client's update before it leaves, where a run has clients do it."""

from flwr.app import Context, Message
from flwr.clientapp.mod import fixedclipping_mod
from flwr.clientapp.typing import ClientAppCallable

from fedcircuits.federation.messages import decode_settings


def clip_where_asked(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Apply Flower's modifier for fixed clipping if the run's settings say so; a mod for train messages."""
    if decode_settings(message.content).privacy.dp != "client-fixed-clipping":
        return call_next(message, context)
    return fixedclipping_mod(message, context, call_next)
