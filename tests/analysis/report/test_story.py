"""The first screen: figures by hand, and what is said when there are none."""

import dataclasses
from collections.abc import Callable
from typing import Any

from analysis import Run, load_run
from analysis.diagnosis import diagnose
from analysis.report.caveats import caveats, missing
from analysis.report.collapse import Collapse, collapses
from analysis.report.headline import headline
from analysis.report.story import Card, story
from analysis.summary import summary_text
from fedcircuits.runlog.writer import RunLog

WriteRun = Callable[..., RunLog]


def cards(run: Run) -> dict[str, Card]:
    return {card.title: card for card in story(run)}


def drop(*names: str) -> Callable[[int, dict[str, Any]], None]:
    return lambda server_round, tables: [tables.pop(name) for name in names] and None


def test_the_cards_show_the_last_round(tiny_run: Run) -> None:
    shown = cards(tiny_run)
    # Of 50 test images, 10 + 20 + 5 are recognised; of the 40 of trained classes too.
    assert shown["Accuracy of the global model"].value == "0.700"
    assert "0.875 over classes that clients have" in shown["Accuracy of the global model"].details[0]
    assert shown["Same class in two clients, IoU"].value == "0.60"
    assert shown["Same class in two clients, IoU"].details[1] == "0.20 by chance; adjusted for it 0.50"
    assert shown["Client against global model, IoU"].value == "0.52"
    assert shown["Usable client circuits"].value == "4 of 4"
    assert shown["Client circuits on global weights, recall / false positives"].value == "0.60 / 0.10"
    assert shown["Collapsed classes at the end"].value == "none"
    assert shown["Collapsed classes at the end"].details[0] == "class 2: round 1"


def test_the_headline_says_what_collapsed_and_what_chance_would_give(tiny_run: Run) -> None:
    assert headline(tiny_run) == (
        "After 2 rounds the global model recognises 70.0 % of the test images; no class is collapsed at the end, "
        "though class 2 had been. Circuits of one class in two clients overlap with an IoU of 0.60 in round 2; "
        "chance would give 0.20."
    )


def test_the_headline_of_clients_that_share_nothing_speaks_of_the_global_model(write_run: WriteRun) -> None:
    text = headline(load_run(write_run(is_shared=False).path))
    assert "class 3 is collapsed." in text
    assert "of clients and of the global model overlap with an IoU of 0.52" in text


def test_collapses_are_told_with_their_rounds(write_run: WriteRun) -> None:
    lost = collapses(load_run(write_run(is_shared=False, num_rounds=3).path))
    assert lost == [Collapse(2, [1], is_lost=False), Collapse(3, [1, 2, 3], is_lost=True)]


def test_a_run_of_one_seed_that_completed_has_the_one_caveat(tiny_run: Run) -> None:
    checked = dataclasses.replace(tiny_run, validity=tiny_run.validity.iloc[:0])
    assert caveats(checked) == [
        "One run is one seed: no difference between single runs is a result. See analysis compare."
    ]


def test_caveats_name_failure_rejections_and_unusable_circuits(write_run: WriteRun) -> None:
    def spoil(server_round: int, tables: dict[str, Any]) -> None:
        tables["clients"][0] |= {"accepted": False, "reason": "NaN in weights"}
        for row in tables["quality"]:
            row |= {"usable": False, "reason": "low_recall" if row["class_id"] == 1 else "default_class"}
        tables["validity"] = []

    log = write_run(change=spoil, num_rounds=1)
    log.fail("out of memory")
    told = caveats(load_run(log.path))
    assert told[0] == "The run failed after 1 of 2 rounds: out of memory."
    why = "2 of a class that the model names by default, 2 with too low a recall"
    assert f"0 of 4 client circuits of round 1 are usable; others: {why}." in told
    assert "1 reply was set aside; see Faults." in told


def test_the_card_of_usable_circuits_says_why_others_are_not(write_run: WriteRun) -> None:
    def spoil(server_round: int, tables: dict[str, Any]) -> None:
        for row in tables["quality"]:
            if row["partition_id"] == 0:
                row |= {"usable": None, "reason": "too_few_images"}

    card = cards(load_run(write_run(change=spoil).path))["Usable client circuits"]
    assert card.value == "2 of 4"
    assert card.details[1] == "others: 2 with too few test images for a verdict"


def test_a_class_that_the_model_answers_to_everything_is_said_to_be_its_answer(write_run: WriteRun) -> None:
    def answer(server_round: int, tables: dict[str, Any]) -> None:
        for row in tables["accuracy"]:
            row["false_positive_rate"] = 0.5 if row["class_id"] == 0 else 0.49

    run = load_run(write_run(change=answer).path)
    assert ", and class 0 is its answer to most other images." in headline(run)
    answers = "class 0 is the answer to most images of other classes: rounds 1–2"
    assert answers in cards(run)["Collapsed classes at the end"].details
    assert "class 0: answered to most images of other classes, too, after rounds 1–2;" in summary_text(run)


def test_a_run_that_still_goes_on_says_so(write_run: WriteRun) -> None:
    log = write_run(num_rounds=1)
    assert caveats(load_run(log.path))[0].startswith("The run has not ended: 1 of 2 rounds, status running")


def test_a_run_whose_process_is_gone_is_called_interrupted(write_run: WriteRun) -> None:
    log = write_run(num_rounds=1)
    log.close()
    told = caveats(load_run(log.path))
    assert told[0] == "The run was interrupted after 1 of 2 rounds: the process that wrote it is gone."


def test_checks_that_failed_round_after_round_are_one_caveat(write_run: WriteRun) -> None:
    told = caveats(load_run(write_run(num_rounds=3).path))
    assert [note for note in told if "its check" in note] == [
        "Discovery failed its check in rounds 1–3: in round 3 circuits beat random ones of their sizes by only 0.04 "
        "balanced accuracy (needed 0.10; z 2.0, needed 3.0), so no circuit of rounds 1–3 counts as usable."
    ]


def test_a_failed_check_is_not_told_a_second_time_as_circuits_that_cannot_tell_their_class(write_run: WriteRun) -> None:
    def spoil(_: int, tables: dict[str, Any]) -> None:
        for row in tables["quality"]:
            row["usable"] = False

    told = caveats(load_run(write_run(change=spoil).path))
    assert sum("usable" in note for note in told if "pairs" not in note) == 1


def test_examinations_that_were_not_due_are_not_called_empty(write_run: WriteRun) -> None:
    run = load_run(write_run(change=drop("ladder"), num_rounds=1, num_server_rounds=50, examination_every=25).path)
    due = "Where accuracy went: examinations begin in round 25 (examination-every = 25), and the log ends with round 1."
    assert due in missing(run)


def test_what_a_log_lacks_is_listed_with_the_reason(write_run: WriteRun) -> None:
    run = load_run(write_run(change=drop("circuits", "edges", "quality", "ladder"), circuit_every=0).path)
    assert missing(run) == [
        "Circuits, edges of circuits, quality of circuits: circuits were not looked for (circuit-every = 0).",
        "Where accuracy went: no examination was logged (examination-every = 0).",
    ]


def test_cards_of_a_log_without_accuracy_or_circuits_say_that_they_are_not_there(write_run: WriteRun) -> None:
    shown = cards(load_run(write_run(change=drop("accuracy", "circuits", "quality", "overlap")).path))
    assert {card.value for card in shown.values()} == {"–"}
    assert shown["Usable client circuits"].details == ("no circuits were found",)


def test_a_run_without_a_round_has_no_cards(write_run: WriteRun) -> None:
    run = load_run(write_run(num_rounds=0).path)
    assert story(run) == []
    assert headline(run) == "No round was finished, so there is nothing to show but the settings."
    assert missing(run) == ["No round was finished, so every table is empty."]


def test_what_an_imported_log_lacks_has_one_reason(write_run: WriteRun) -> None:
    examined = ("validity", "ladder", "scrutiny", "alignment", "patching", "stability")
    run = load_run(
        write_run(change=drop("interference", *examined), imported_from="log.json", imported_sha256="0").path
    )
    assert [note.rsplit(": ")[1] for note in missing(run)] == ["not in imported logs."]
    agreement = next(section for section in diagnose(run).sections if section.name == "agreement")
    assert agreement.meaning == "Not measured: not in imported logs."
