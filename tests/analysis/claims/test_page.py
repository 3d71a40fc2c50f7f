"""The page of verdicts, and the file of values that makes it anew without runs."""

from pathlib import Path

import numpy as np
import pytest
from claims_evidence import by_seed, family

from analysis.__main__ import main
from analysis.claims.benchmark import benchmark_section
from analysis.claims.by_class import ClassRecall, Hits, PairSums
from analysis.claims.families import families_of
from analysis.claims.page import results_page
from analysis.claims.values import NUMBERS, RunValues, joined, parse_values, read_run_values, values_text
from fedcircuits.errors import RunLogError


def page_of(folder: Path) -> str:
    values, notes = read_run_values([folder])
    return results_page(families_of(values), notes, "python -m analysis verdicts runs")


def test_the_page_names_every_claim_experiment_and_seed(write_run, tmp_path):
    for name, sparsity in (("digits-iid", 0.9), ("digits-dense", 0.0)):
        write_run(name, sparsity=sparsity).complete()
    families = families_of(read_run_values([tmp_path / "runs"])[0])
    assert [(one.name, sorted(one.experiments)) for one in families] == [("digits", ["dense", "iid"])]
    page = page_of(tmp_path / "runs")
    for words in ("# Results", "## Claim 1", "not decided", "| digits-iid |", "| iid | 7 |", "verdicts runs"):
        assert words in page
    assert "nan" not in page
    assert "Not judged: the experiments iid-3clients, shared-class, noniid-3class are missing." in page


def test_the_page_says_what_effects_seeds_can_find(write_run, tmp_path):
    write_run("digits-iid").complete()
    page = page_of(tmp_path / "runs")
    assert "| 5 | 1.7 | 2.6 |\n| 10 | 1.0 | 1.3 |" in page


def test_both_horizons_stand_on_the_page(write_run, tmp_path):
    write_run("digits-noniid-3class", num_rounds=2).complete()
    write_run("digits-long-3class", num_rounds=4, num_server_rounds=4).complete()
    page = page_of(tmp_path / "runs")
    assert "**digits, 2 rounds: not decided**" in page
    assert "**digits, 4 rounds: not decided**" in page


def test_two_experiments_of_one_name_are_refused(write_run, tmp_path):
    for sparsity in (0.9, 0.0):
        write_run("digits-iid", sparsity=sparsity).complete()
    with pytest.raises(RunLogError, match="two experiments are called digits-iid but have different settings"):
        read_run_values([tmp_path / "runs"])


def test_runs_of_equal_settings_count_under_each_of_their_names(write_run, tmp_path):
    for seed, name in enumerate(("digits-iid", "mine-iid", "cluttered-iid")):
        write_run(name, seed=seed).complete()
    families = families_of(read_run_values([tmp_path / "runs"])[0])
    assert [one.name for one in families] == ["cluttered", "digits", "mine"]
    assert all(one.experiments["iid"].seeds == (0, 1, 2) for one in families)


def test_the_benchmark_is_decided_at_full_length_only(write_run, tmp_path):
    write_run("niid-mnist-2class").complete()
    section = benchmark_section(families_of(read_run_values([tmp_path / "runs"])[0]))
    # Best of both rounds: recalls 1, 1, 0.5, 0 of 10, 20, 10, 10 images.
    assert "| mnist-2class | 2 | 0.7000 | 0.9686 | not decided: 2 of 50 rounds |" in section


def test_no_benchmark_no_section():
    assert benchmark_section([family(iid=by_seed(accuracy=1.0))]) == ""


# -- The command


def test_the_command_writes_the_page_and_names_what_is_not_judged(write_run, tmp_path, capsys):
    write_run("digits-iid").complete()
    out = tmp_path / "results.md"
    assert main(["verdicts", str(tmp_path / "runs"), "--pilot", "digits:7", "--out", str(out)]) == 0
    page = out.read_text(encoding="utf-8")
    assert "--pilot digits:7" in page
    assert "Seeds seen while the rules were written: digits 7." in page
    assert capsys.readouterr().out.strip() == str(out)


def test_a_page_that_cannot_be_written_is_named(write_run, tmp_path, capsys):
    write_run("digits-iid").complete()
    assert main(["verdicts", str(tmp_path / "runs"), "--out", str(tmp_path / "absent" / "results.md")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_without_runs_and_without_values_there_is_nothing_to_judge(tmp_path, capsys):
    assert main(["verdicts"]) == 2
    assert "give runs, or --values FILE" in capsys.readouterr().err
    assert main(["verdicts", "--values", str(tmp_path / "absent.csv")]) == 2
    assert "cannot read" in capsys.readouterr().err
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    assert main(["verdicts", "--values", str(other)]) == 2
    assert "is no file of values, or an old one: it lacks family" in capsys.readouterr().err


def test_the_page_made_of_values_is_that_made_of_runs_bit_by_bit(write_run, tmp_path, capsys):
    def scatter(server_round, tables):
        for row in tables["accuracy"]:
            row["recall"] = row["recall"] / 3 + 0.1234567

    for seed in range(3):
        for name in ("digits-noniid-3class", "digits-iid-3clients", "digits-long-3class"):
            write_run(name, seed=seed, change=scatter, partition=name).complete()
    values, out = tmp_path / "results.csv", tmp_path / "results.md"
    command = ["verdicts", "--values", str(values), "--out", str(out)]
    assert main([*command, str(tmp_path / "runs")]) == 0
    made_of_runs = out.read_bytes()
    out.unlink()
    assert main(command) == 0
    assert out.read_bytes() == made_of_runs
    assert f"python -m analysis verdicts --values {values} --out {out}" in made_of_runs.decode()


def test_families_can_be_added_one_after_another(write_run, tmp_path, capsys):
    values, runs = str(tmp_path / "results.csv"), tmp_path / "runs"
    first = write_run("digits-iid", seed=1)
    first.complete()
    assert main(["verdicts", str(first.path), "--values", values]) == 0
    second = write_run("paper-iid", seed=1, learning_rate=0.1)
    second.complete()
    assert main(["verdicts", str(second.path), "--values", values]) == 0
    text = Path(values).read_text(encoding="utf-8")
    again = write_run("digits-iid", seed=2)
    again.complete()
    assert main(["verdicts", str(again.path), "--values", values]) == 0
    added = parse_values(Path(values).read_text(encoding="utf-8"), values)
    assert [one.key for one in added] == [("digits", "iid", 1), ("digits", "iid", 2), ("paper", "iid", 1)]
    together, _ = read_run_values([runs])
    assert values_text(together) == Path(values).read_text(encoding="utf-8") != text


def test_values_of_another_experiment_under_the_same_name_are_refused(write_run, tmp_path, capsys):
    values = str(tmp_path / "results.csv")
    for seed, changes, said in (
        (1, {}, ""),
        (
            2,
            {"sparsity": 0.5},
            "called digits-iid but have different settings: sparsity 0.9 and 0.5",
        ),
        (2, {"num_rounds": 4}, "of 2 rounds for seed 1 and of 4 for seed 2: read its runs together"),
    ):
        log = write_run("digits-iid", seed=seed, **changes)
        log.complete()
        assert main(["verdicts", str(log.path), "--values", values]) == (2 if said else 0)
        assert said in capsys.readouterr().err


def test_every_number_of_a_run_has_its_column(write_run, tmp_path):
    write_run("digits-iid").complete()
    (values,), _ = read_run_values([tmp_path / "runs"])
    assert sorted(values.numbers) == sorted(NUMBERS)


def test_settings_are_written_once_per_experiment(write_run, tmp_path):
    for seed in range(3):
        write_run("digits-iid", seed=seed).complete()
    values, _ = read_run_values([tmp_path / "runs"])
    text = values_text(values)
    assert text.count("num-server-rounds") == 1
    again = parse_values(text, "here")
    assert [one.settings for one in again] == [values[0].settings] * 3
    assert values_text(again) == text


def test_values_of_two_families_of_ten_seeds_stay_below_a_megabyte(write_run, tmp_path):
    """Fifteen experiments each; in one family of 270 test images, in the other of 270 originals by six."""
    write_run("digits-iid").complete()
    (one,), _ = read_run_values([tmp_path / "runs"])
    generator = np.random.default_rng(0)
    settings = {f"some-setting-{number}": "some value" for number in range(90)}
    values = []
    for name, most in (("digits", 4), ("cluttered", 150)):
        for role in range(15):
            for seed in range(10):
                counts = tuple(generator.integers(0, most + 1, 27) for _ in range(10))
                recalls = {class_id: ClassRecall(0.123456, 27) for class_id in range(10)}
                facts = {"family": name, "role": f"role-{role}", "seed": seed, "settings": settings}
                pairs = dict.fromkeys(range(10), PairSums(12, 3.45678, 2.34567, 12, 3.45678, 2.34567))
                values.append(
                    RunValues(**vars(one) | facts | {"hits": Hits(4, counts), "recalls": recalls, "pairs": pairs})
                )
    assert len(values_text(values).encode()) < 1_000_000
    assert len(joined(values)) == 300


def test_a_damaged_file_of_values_is_named_with_its_line(write_run, tmp_path, capsys):
    write_run("digits-iid", change=lambda _, tables: None).complete()
    values, _ = read_run_values([tmp_path / "runs"])
    path = tmp_path / "results.csv"
    path.write_text(values_text(values).replace("digits,iid,7", "digits,iid,seven"))
    assert main(["verdicts", "--values", str(path)]) == 2
    assert "results.csv, line 2: invalid literal" in capsys.readouterr().err


def test_notes_on_runs_go_to_the_screen_where_values_are_kept(write_run, tmp_path, capsys):
    for _ in range(2):
        write_run("digits-iid").complete()
    assert main(["verdicts", str(tmp_path / "runs"), "--values", str(tmp_path / "results.csv")]) == 0
    found = capsys.readouterr()
    assert "2 runs;" in found.err
    assert "2 runs;" not in found.out
