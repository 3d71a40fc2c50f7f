"""Federated averaging that watches circuits: screens replies, keeps their order, and reports what averaging does.

`CircuitObserver` is a FedAvg, and a mixin for every Flower strategy derived from FedAvg: what a base class does with
weights stays its own business.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

import torch
from flwr.app import ArrayRecord, ConfigRecord, Message, Metadata, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg
from torch import Tensor

from fedcircuits.errors import FederationError, ReplyError
from fedcircuits.federation.messages import LARGEST_WEIGHT, decode_update, decode_view, decode_weights, encode_weights
from fedcircuits.federation.replies import EvaluateReply, TrainReply
from fedcircuits.networks.cnn import Weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import Key
from fedcircuits.settings import Settings, too_few_to_average
from fedcircuits.settings.config_values import ClassIds
from strategies.moments import save_moments
from strategies.observer import RoundObserver
from strategies.roster import Roster, SelectedNodes
from strategies.screening import Asked, Reply, Screened, screen_replies

_log = logging.getLogger("fedcircuits")


class CircuitObserver(FedAvg):
    """FedAvg, or the base strategy that it is mixed into, with screening, ordering and observation around it.

    Args:
        settings: of the run.
        spec: the network's shape, which every reply must have.
        roster: finds the clients.
        observer: is told about every phase, and writes the round.
        base: what the base strategy's constructor takes.
    """

    def __init__(
        self, *, settings: Settings, spec: ModelSpec, roster: Roster, observer: RoundObserver, **base: Any
    ) -> None:
        weight_key = Key.PLAIN_WEIGHT if settings.federation.weighting == "plain" else Key.NUM_EXAMPLES
        # The base samples every node that it is shown: the roster has chosen already.
        super().__init__(
            fraction_train=1.0,
            fraction_evaluate=1.0,
            min_train_nodes=1,
            min_evaluate_nodes=1,
            min_available_nodes=1,
            weighted_by_key=weight_key,
            arrayrecord_key=Key.ARRAYS,
            configrecord_key=Key.CONFIG,
            **base,
        )
        self._settings = settings
        self._spec = spec
        self._roster = roster
        self._observer = observer
        self._asked: dict[int, int] = {}
        self._sent: list[Metadata] = []
        self._gone: list[int] = []
        self._studied: dict[int, ClassIds] = {}
        self._weights: dict[str, Tensor] = {}

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask this round's sample of clients to train."""
        self._roster.refresh(grid, self._settings.federation.node_timeout_s)
        self._weights = decode_weights(arrays, self._spec)
        present, self._gone = self._roster.sample(server_round, self._settings.federation.fraction_train)
        self._ask(present)
        self._observer.begin(server_round)
        if not self._asked:
            return []
        config[Key.TOLD_APART] = self._observer.told_apart
        return self._in_order(super().configure_train(server_round, arrays, config, self._view()))

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Set unusable replies aside, let the base strategy average the others, and observe what that did.

        Raises:
            FederationError: if too few replies are usable, or the average is not finite or absurdly large.
        """
        replies = list(replies)
        screened = self._screen(replies, self._decode_update)
        screened.rejected.update(dict.fromkeys(self._gone, "no node serves this partition"))
        self._check_enough(f"round {server_round}", screened)
        if why := too_few_to_average(self._settings.federation, len(screened.replies)):
            raise self._too_few(f"round {server_round}", screened, why)
        self._studied = {
            reply.partition_id: reply.study.circuits.class_ids for reply in screened.replies if reply.study is not None
        }
        for message in screened.messages:
            _drop_config_records(message)
        arrays, metrics = super().aggregate_train(server_round, screened.messages)
        for message in replies:
            _drop_weights(message)
        start, self._weights = self._weights, self._averaged(server_round, arrays)
        self._observer.after_train(screened.replies, screened.rejected, start, self._weights)
        return encode_weights(self._weights), metrics

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask the clients whose training was accepted to look at the new model, in rounds with circuits of clients."""
        del grid  # the roster knows the nodes
        settings = self._settings
        is_due = settings.discovery.is_circuit_round(server_round, settings.run.num_server_rounds)
        self._ask(list(self._studied) if is_due else [])
        if not self._asked:
            return []
        config[Key.TRAINED_CLASSES] = self._observer.trained_classes
        return self._in_order(super().configure_evaluate(server_round, arrays, config, self._view()))

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Collect what clients saw in the new model, study it on the server, and write the round.

        Raises:
            FederationError: if too few replies are usable.
        """
        screened = self._screen(replies, self._decode_view)
        if self._asked:
            self._check_enough(f"evaluate phase of round {server_round}", screened)
        for message in screened.messages:
            _drop_config_records(message)
        metrics = super().aggregate_evaluate(server_round, screened.messages)
        moments = save_moments(self, list(self._spec.state_shapes))
        self._observer.finish(screened.replies, screened.rejected, self._weights, moments)
        return metrics

    def _ask(self, partitions: list[int]) -> None:
        self._asked = {self._roster.node_id(partition_id): partition_id for partition_id in partitions}
        self._sent = []

    def _view(self) -> Grid:
        return SelectedNodes(list(self._asked)).as_grid()

    def _in_order(self, messages: Iterable[Message]) -> list[Message]:
        ordered = sorted(messages, key=lambda message: self._asked[message.metadata.dst_node_id])
        # Flower numbers messages when it sends them, and replies are told by these numbers.
        self._sent = [message.metadata for message in ordered]
        return ordered

    def _screen(self, replies: Iterable[Message], decode: Callable[[RecordDict], Reply]) -> Screened[Reply]:
        asked = Asked(self._asked, self._sent, self._settings.federation.round_timeout_s)
        screened = screen_replies(replies, asked, decode)
        for line in screened.ignored:
            _log.warning("ignored: %s", line)
        return screened

    def _decode_update(self, content: RecordDict) -> TrainReply:
        """Decode a reply, and hold it to what the client said that it holds: its weight in the average."""
        reply = decode_update(content, self._spec, self._settings.privacy)
        self._check_held(reply.partition_id, reply.num_examples)
        if self._settings.privacy.dp == "server-fixed-clipping" and _is_same(reply.weights, self._weights):
            # Flower's clipping divides by the norm of the update.
            raise ReplyError("weights: those that the round started from, an update of 0 that cannot be clipped")
        return reply

    def _decode_view(self, content: RecordDict) -> EvaluateReply:
        reply = decode_view(content, self._spec, self._studied)
        self._check_held(reply.partition_id, reply.num_examples)
        return reply

    def _check_held(self, partition_id: int, num_examples: int) -> None:
        if partition_id not in self._asked.values():
            raise ReplyError(f"claims to be partition {partition_id}")
        held = self._roster.clients.num_examples(partition_id)
        if num_examples != held:
            raise ReplyError(f"metrics: num-examples = {num_examples}, but the client holds {held} images")

    def _check_enough(self, where: str, screened: Screened[Any]) -> None:
        """Check that enough of the clients that were drawn gave something usable, and at least one did."""
        least = self._settings.federation.min_accepted_fraction
        num_usable = len(screened.replies)
        num_drawn = num_usable + len(screened.rejected)
        if not screened.replies or num_usable < least * num_drawn:
            raise self._too_few(where, screened, f"min-accepted-fraction = {least:g}")

    def _too_few(self, where: str, screened: Screened[Any], why: str) -> FederationError:
        """Say how many replies can be used, why that does not do, and what is wrong with the others."""
        num_usable, rejected = len(screened.replies), sorted(screened.rejected.items())
        reasons = "\n".join(f"  - {self._roster.clients.name(p)}: {reason}" for p, reason in rejected)
        diverged = any("not finite" in reason or Key.TRAIN_LOSS in reason for _, reason in rejected)
        hint = "\nTraining diverges where they are that large: try a smaller learning-rate." if diverged else ""
        usable = f"only {num_usable} of {num_usable + len(rejected)} replies can be used"
        return FederationError(f"{where}: {usable}, {why}:\n{reasons}{hint}")

    def _averaged(self, server_round: int, arrays: ArrayRecord | None) -> dict[str, Tensor]:
        """Return the new weights in the model's own type; some strategies compute in float64."""
        if arrays is None:
            return self._weights
        averaged = {name: torch.from_numpy(array.numpy()).float() for name, array in arrays.items()}
        broken = [name for name, value in averaged.items() if not (value.abs() <= LARGEST_WEIGHT).all()]
        if broken:
            raise FederationError(
                f"round {server_round}: the average is not finite, or beyond ±{LARGEST_WEIGHT:g}, in "
                f"{', '.join(broken)}; try a smaller learning-rate or server-learning-rate"
            )
        return averaged


def _is_same(one: Weights, other: Weights) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def _drop_config_records(message: Message) -> None:
    """Leave the one ArrayRecord and the one MetricRecord that Flower's strategies expect."""
    for key in list(message.content.config_records):
        del message.content[key]


def _drop_weights(message: Message) -> None:
    """Free weights that are averaged and decoded: Flower holds on to a round's replies until it has the next ones."""
    if message.has_content():
        for key in list(message.content.array_records):
            del message.content[key]
