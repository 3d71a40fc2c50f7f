# %% [markdown]
# # From a run to tables, figures and a comparison
#
# The cells run one by one in an editor that knows `# %%`, or all at once: `python docs/example.py`, in a folder whose
# folder `runs` holds two completed runs or more. What there is beside this: library.md.

# %%
from pathlib import Path

from analysis import load_run
from analysis.comparison.study import read_seed_study
from analysis.comparison.tables import baseline_differences, interval_table, seed_intervals
from analysis.figures import overlap_across_clients, save_figure, who_holds_what
from analysis.figures.comparison import accuracy_by_round
from analysis.measures import pooled_pairs, round_measures
from fedcircuits.records import Comparison

RUNS = Path("runs")
OUT = Path("example-figures")
newest_two = [path.parent for path in sorted(RUNS.glob("*/run.json"))][-2:]

# %% [markdown]
# ## One run
# `load_run` takes a run directory, or a folder of them (then: the newest). Its tables are pandas data frames, its
# settings a dictionary.

# %%
run = load_run(RUNS)
print(f"{run.path.name}: {run.info['status']}, {run.info['last_round']} rounds, sparsity {run.settings['sparsity']}")

# %% [markdown]
# ## Tables
# `round_measures` has the figures of the summary. For anything else start from the tables: here, how much two clients'
# circuits of the same class overlap by class, beside what chance gives, of circuits that can be used.

# %%
by_round = round_measures(run)
print(by_round[["accuracy", "circuit_size", "same_class_iou", "same_class_expected_iou"]].round(3))

# %%
same_class = pooled_pairs(run, Comparison.SAME_CLASS_ACROSS_CLIENTS)
print(same_class.groupby("a_class_id")[["iou", "expected_iou", "adjusted_iou"]].mean().round(3))

# %% [markdown]
# ## Figures
# A figure function takes a run and returns a matplotlib figure, which a notebook shows where it is the last line of a
# cell. `style="paper"` fits a two-column page; `save_figure` keeps text as text.

# %%
figure = who_holds_what(run)
save_figure(figure, OUT / "who-holds-what.png")
figure

# %%
if same_class.empty:
    print("no two usable circuits of one class in two clients: nothing to draw of their overlap")
else:
    save_figure(overlap_across_clients(run, style="paper"), OUT / "overlap.pdf")

# %% [markdown]
# Several go into one figure as parts of it.

# %%
from matplotlib.figure import Figure  # noqa: E402

both = Figure(figsize=(10, 9), layout="constrained")
for part, one in zip(both.subfigures(2, 1), newest_two, strict=True):
    who_holds_what(load_run(one), figure=part)
save_figure(both, OUT / "two-runs.png")
both

# %% [markdown]
# ## Two runs
# Runs that differ in more than the seed are different experiments. With one seed each there are means but no intervals,
# so nothing can be said to differ: give every experiment five seeds or more, and the same to all.

# %%
study = read_seed_study(newest_two)
means = interval_table(seed_intervals(study))
print(means[means["measure"].isin(["accuracy", "density", "circuit_size"])].round(3).to_string(index=False))

# %%
for one in baseline_differences(study):
    if one.measure == "accuracy":
        print(f"{one.experiment} minus {one.baseline}: accuracy {one.interval.mean:+.3f}")
save_figure(accuracy_by_round(study), OUT / "accuracy.png")
