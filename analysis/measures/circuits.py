"""How large circuits are, how good, and what averaging costs them."""

import pandas as pd

from analysis.measures.image_kinds import on_common_images, on_own_images
from fedcircuits.records import ALL_LAYERS, ModelKind
from fedcircuits.runlog.run import Run

_CIRCUIT = ["round", "model", "partition_id", "class_id"]


def drift_gaps(run: Run, score: str = "sufficiency") -> pd.DataFrame:
    """Return what local circuits lose on the averaged weights, against circuits that are found there.

    The drift gap is that of arXiv 2512.23043: sufficiency of the global model's own circuit, found on the same images
    as the client's, minus the sufficiency of the client's circuit on the global weights (the transplant). Zero means
    that averaging kept the local circuit as good as the global one, or that both fail; a positive gap means that the
    class moved to other channels.

    Args:
        run: the run.
        score: another column of the quality table to compare in the same way.

    Returns:
        one row per round, partition and class: the score of `client` (local circuit on local weights), `transplant`
        and `global`, and `drift_gap`. Rows without a transplant are left out; a missing figure is NaN.
    """
    client, transplant, average = str(ModelKind.CLIENT), str(ModelKind.TRANSPLANT), str(ModelKind.GLOBAL)
    quality = run.quality[["round", "model", "partition_id", "data", "class_id", score]]
    rows = _scores(quality, transplant).merge(_scores(quality, client), how="left")
    of_average = _scores(quality, average)
    is_on_probe = of_average["partition_id"].isna()
    on_clients = rows.merge(of_average[~is_on_probe], how="left")[average]
    on_probe = rows.merge(of_average[is_on_probe].drop(columns="partition_id"), how="left")[average]
    rows[average] = on_clients.fillna(on_probe)
    rows = rows.sort_values(["round", "partition_id", "class_id"], ignore_index=True).drop(columns="data")
    return rows.assign(drift_gap=rows[average] - rows[transplant])


def _scores(quality: pd.DataFrame, model: str) -> pd.DataFrame:
    """Return the known scores of one kind of model's circuits, in a column of the model's name."""
    rows = quality[quality["model"] == model].drop(columns="model")
    return rows.rename(columns={rows.columns[-1]: model}).dropna(subset=[model])


def circuit_sizes(run: Run) -> pd.DataFrame:
    """Return the channels of each circuit that is compared, layer by layer and in all.

    Returns:
        columns round, model, partition_id, class_id, layer (`all` = summed over layers), num_channels, layer_width.
    """
    sizes = on_common_images(run).circuits[[*_CIRCUIT, "layer", "num_channels", "layer_width"]]
    # The server's circuits have no partition; without dropna=False they would vanish here.
    total = sizes.groupby(_CIRCUIT, dropna=False)[["num_channels", "layer_width"]].sum().reset_index()
    return pd.concat([sizes, total.assign(layer=ALL_LAYERS)], ignore_index=True)


def client_quality(run: Run) -> pd.DataFrame:
    """Return how good client models' circuits are, each model's on its client's images, where there are such."""
    return _of_clients(on_own_images(run).quality)


def compared_quality(run: Run) -> pd.DataFrame:
    """Return how good those circuits of client models are that are compared between clients."""
    return _of_clients(on_common_images(run).quality)


def _of_clients(quality: pd.DataFrame) -> pd.DataFrame:
    return quality[quality["model"] == ModelKind.CLIENT]
