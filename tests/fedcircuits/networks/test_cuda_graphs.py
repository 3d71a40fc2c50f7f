"""When steps are recorded, and what happens if a recording is wrong. Recorders are played: there is no GPU here."""

import contextlib
import gc
import inspect
import weakref

import pytest
import torch
from recorders import FailingRecorder, PlayedRecorder

from fedcircuits.networks import cuda_graphs
from fedcircuits.networks.cuda_graphs import GraphRecorder, Replayed, is_recorded, optimised, replay_rows

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


class Counter:
    """Work that adds to a number what stands in a table, and counts how often Python runs it."""

    def __init__(self) -> None:
        self.total, self.row = torch.zeros(()), torch.zeros(1, dtype=torch.int64)
        self.table = torch.tensor([1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6])
        self.num_runs = 0

    def __call__(self) -> None:
        self.num_runs += 1
        self.total.add_(self.table.index_select(0, self.row)[0])
        self.row.add_(1)

    def state(self) -> list[torch.Tensor]:
        return [self.total, self.row]


def call(work: Counter, recorder, times: int) -> None:
    replayed = Replayed(work, work.state, recorder)
    for _ in range(times):
        replayed()


def test_without_a_recorder_work_is_simply_done():
    work = Counter()
    call(work, None, 7)
    assert (work.total.item(), work.num_runs) == (1111111.0, 7)


def test_three_steps_warm_up_a_fourth_records_and_none_is_taken_twice():
    work, recorder = Counter(), PlayedRecorder()
    call(work, recorder, 7)
    assert recorder.events == ["warm-up"] * 3 + ["record"]
    assert work.total.item() == 1111111.0


def test_after_the_check_python_takes_no_more_steps():
    work, replays = Counter(), Counter()
    replays.total, replays.row = work.total, work.row  # what a graph does: the same, on the same memory
    call(work, PlayedRecorder(replays), 7)
    assert (work.total.item(), work.num_runs, replays.num_runs) == (1111111.0, 5, 3)


@pytest.mark.parametrize("wrong", ["nothing", "what was recorded", "not a number"])
def test_a_replay_that_differs_is_thrown_away(caplog, wrong):
    work = Counter()

    def replay() -> None:
        # A number from Python stays in a graph what it was when it was recorded: here the fourth row.
        work.total.add_({"nothing": 0.0, "what was recorded": 1e3, "not a number": torch.nan}[wrong])
        work.row.add_(0 if wrong == "nothing" else 1)

    with caplog.at_level("DEBUG", "fedcircuits"):
        call(work, PlayedRecorder(replay), 7)
    assert (work.total.item(), work.row.item(), work.num_runs) == (1111111.0, 7, 7)
    assert [record.message for record in caplog.records] == [
        "steps are not replayed as a CUDA graph: a replayed step differs from the step itself"
    ]


def test_a_replay_may_round_differently():
    work = Counter()

    def replay() -> None:
        work()
        work.total.mul_(1 + 2e-7)

    call(work, PlayedRecorder(replay), 7)
    assert work.total.item() == pytest.approx(1111111.0, rel=1e-6)
    assert work.num_runs == 4 + 2 + 2  # the step that is checked is taken both ways


def test_work_that_cannot_be_recorded_is_done_as_it_is(caplog):
    work = Counter()
    with caplog.at_level("DEBUG", "fedcircuits"):
        call(work, FailingRecorder(), 7)
    assert (work.total.item(), work.num_runs) == (1111111.0, 7)
    assert "operation not permitted" in caplog.text


def test_an_error_of_the_work_itself_is_not_hidden():
    def work() -> None:
        raise ValueError("wrong shape")

    with pytest.raises(ValueError, match="wrong shape"):
        Replayed(work, list, PlayedRecorder())()


@pytest.mark.parametrize(
    "look",
    [
        lambda values: values[values > 0],
        lambda values: values.nonzero(),
        lambda values: float(values.sum()),
        lambda values: values + torch.tensor([1.0, 2.0, 3.0]),
        lambda values: values[values.argmax()],
    ],
)
def test_the_played_recorder_refuses_what_a_gpu_cannot_record(look):
    values = torch.tensor([1.0, -1.0, 2.0])
    with pytest.raises(AssertionError, match="cannot be recorded"):
        PlayedRecorder().warm_up(lambda: look(values))


def test_every_row_is_a_step():
    seen = []
    tables = [torch.tensor([[1, 2], [3, 4]]), torch.tensor([0.5, 0.25])]
    replay_rows(lambda pair, share: seen.append((pair.tolist(), share.item())), tables, list, CPU)
    assert seen == [([1, 2], 0.5), ([3, 4], 0.25)]


def test_a_recording_goes_with_the_last_step(monkeypatch):
    graphs = []

    class Graph:
        def __init__(self, work) -> None:
            self.work = work
            graphs.append(weakref.ref(self))

        def __call__(self) -> None:
            self.work()

    recorder = PlayedRecorder()
    recorder.record = Graph
    monkeypatch.setattr(cuda_graphs, "is_recorded", lambda device: True)
    monkeypatch.setattr(cuda_graphs, "GraphRecorder", lambda: recorder)
    gc.disable()  # its memory must not wait for a collection of cycles
    try:
        replay_rows(lambda row: None, [torch.arange(8)], list, CPU)
        assert [graph() for graph in graphs] == [None]
    finally:
        gc.enable()


def test_steps_of_an_optimiser_are_checked_with_what_it_remembers(monkeypatch):
    weight = torch.tensor([1.0, 2.0], requires_grad=True)
    optimiser = torch.optim.Adam([weight], lr=0.1, fused=True)

    def step(target: torch.Tensor) -> None:
        optimiser.zero_grad()
        (weight - target).square().sum().backward()
        optimiser.step()

    def trained(recorder) -> list[torch.Tensor]:
        with torch.no_grad():
            weight.copy_(torch.tensor([1.0, 2.0]))
        optimiser.state.clear()
        monkeypatch.setattr(cuda_graphs, "is_recorded", lambda device: recorder is not None)
        monkeypatch.setattr(cuda_graphs, "GraphRecorder", lambda: recorder)
        replay_rows(step, [torch.arange(8.0)[:, None]], lambda: optimised(optimiser), CPU)
        return [each.detach().clone() for each in optimised(optimiser)]

    as_it_is = trained(None)
    assert len(as_it_is) == 4  # the weight, its two moments, and the number of steps
    for recorder in (PlayedRecorder(), PlayedRecorder(lambda: None), FailingRecorder()):
        assert all(map(torch.equal, trained(recorder), as_it_is))


def test_only_a_gpu_records_and_benchmarks_can_switch_it_off(monkeypatch):
    assert (is_recorded(CPU), is_recorded(CUDA)) == (False, True)
    monkeypatch.setattr(Replayed, "is_on", False)
    assert not is_recorded(CUDA)


def test_graphs_are_recorded_on_the_stream_that_has_warmed_up(monkeypatch):
    events = []

    class Stream:
        def wait_stream(self, other) -> None:
            events.append(f"{names[self]} waits for {names[other]}")

    main, side = Stream(), Stream()
    names = {main: "main", side: "side"}

    @contextlib.contextmanager
    def stream(chosen):
        events.append(f"on {names[chosen]}")
        yield
        events.append(f"off {names[chosen]}")

    accepted = inspect.signature(torch.cuda.graph)

    @contextlib.contextmanager
    def graph(*arguments, **options):
        accepted.bind(*arguments, **options)
        events.append(f"capture on {names[options['stream']]}")
        yield
        events.append("end")

    class Graph:
        def replay(self) -> None:
            events.append("replay")

    for name, stand_in in {"Stream": lambda: side, "current_stream": lambda: main, "stream": stream}.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    recorder = GraphRecorder()
    recorder.warm_up(lambda: events.append("work"))
    assert events == ["side waits for main", "on side", "work", "off side", "main waits for side"]
    events.clear()
    recorder.record(lambda: events.append("work"))()
    assert events == ["on side", "capture on side", "work", "end", "off side", "replay"]
