"""What cleanlab says of three small crowds: the figures that our CROWDLAB is held to.

python -m venv /tmp/cleanlab && /tmp/cleanlab/bin/pip install cleanlab==2.9.0
/tmp/cleanlab/bin/python benchmarks/crowdlab_reference.py > tests/unit/feedback/crowdlab.json``
"""

import json
import warnings

import numpy as np
import pandas as pd
from cleanlab.multiannotator import get_label_quality_multiannotator

CROWDS = ((1, 40, 6, 2, 0.5), (2, 60, 8, 3, 0.3), (3, 30, 5, 0, 0.4))  # seed, contents, voters, hostile, seen


def crowd(seed: int, n: int, n_voters: int, n_hostile: int, seen: float) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.4).astype(int)
    model = np.where(truth == 1, rng.beta(4, 2, n), rng.beta(2, 5, n)).clip(0.01, 0.99).round(3)
    votes = np.full((n, n_voters), np.nan)
    for voter in range(n_voters):
        seen_by = rng.random(n) < seen
        honest = np.where(rng.random(n) < 0.9, truth, 1 - truth)
        votes[seen_by, voter] = (honest if voter >= n_hostile else np.zeros(n))[seen_by]
    voted = ~np.isnan(votes).all(axis=1)
    votes, model = votes[voted], model[voted]
    answer = get_label_quality_multiannotator(
        pd.DataFrame(votes), np.c_[1 - model, model], return_weights=True, verbose=False
    )
    content, voter_of = np.nonzero(~np.isnan(votes))
    labels = answer["label_quality"]
    return {
        "content": content.tolist(),
        "voter": voter_of.tolist(),
        "fraud": votes[content, voter_of].astype(int).tolist(),
        "model": model.tolist(),
        "n_voters": n_voters,
        "consensus_label": labels["consensus_label"].astype(int).tolist(),
        "consensus_quality": labels["consensus_quality_score"].round(9).tolist(),
        "voter_weight": np.round(answer["annotator_weight"], 9).tolist(),
        "model_weight": round(float(answer["model_weight"]), 9),
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps([crowd(*figures) for figures in CROWDS]))
