"""What a search found out: a table of its trials, and Optuna's plots."""

from __future__ import annotations

import csv
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from roboyard.storage.base import Store
from roboyard.tuning.search_definition import SearchDefinition
from roboyard.tuning.study import TOLD, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOG = logging.getLogger(__name__)
FOLDER = "report"


def write_search_report(store: Store, definition: SearchDefinition, study: Study) -> None:
    """Write ``trials.csv`` and the plots for which there is enough to plot.

    Raises:
        StorageError: The store cannot be written.
    """
    store.put(f"{FOLDER}/trials.csv", _table(definition, study))
    for name, draw in _plots(study):
        try:
            store.put(f"{FOLDER}/{name}.png", _png(draw))
        except (ValueError, RuntimeError, TypeError) as error:
            _LOG.info("no plot of %s: %s", name, error)


def _table(definition: SearchDefinition, study: Study) -> bytes:
    metrics = [objective.metric for objective in definition.objectives]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["trial", "state", *metrics, "last_step", *definition.space, "note"])
    for trial in study.trials:
        values = study.values(trial)
        told = [repr(v) for v in trial.values or ()] or [""] * len(metrics)
        if trial.state.name == "PRUNED" and trial.intermediate_values:
            told = [repr(trial.intermediate_values[max(trial.intermediate_values)])]
        writer.writerow(
            [
                trial.number,
                trial.state.name.lower(),
                *told,
                max(trial.intermediate_values, default=""),
                *(json.dumps(values[key]) if key in values else "" for key in definition.space),
                trial.user_attrs.get(TOLD, ""),
            ]
        )
    return buffer.getvalue().encode()


def _plots(study: Study) -> Iterator[tuple[str, Callable[[], Any]]]:
    from optuna.importance import PedAnovaImportanceEvaluator
    from optuna.visualization import matplotlib as plots

    inner = study.inner
    if len(inner.directions) > 1:
        yield "pareto_front", lambda: plots.plot_pareto_front(inner)
        return
    yield "history", lambda: plots.plot_optimization_history(inner)
    yield (
        "importance",
        lambda: plots.plot_param_importances(inner, evaluator=PedAnovaImportanceEvaluator()),
    )
    yield "slices", lambda: plots.plot_slice(inner)
    yield "parallel_coordinates", lambda: plots.plot_parallel_coordinate(inner)


def _png(draw: Callable[[], Any]) -> bytes:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's plots with matplotlib are called experimental
        axes = draw()
        first = axes.flat[0] if hasattr(axes, "flat") else axes
        figure: Figure = first.figure
        figure.set_size_inches(12, 6)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
        plt.close(figure)
    return buffer.getvalue()
