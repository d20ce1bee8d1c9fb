"""What the slice gate says to real models that differ in nothing but their seed, and to an attacked one.

`python -m benchmarks.slice_gate_seeds` trains five pairs of small models and one that believed 600 hostile
flags (benchmarks/poison.py), lets each of the five contest each other and the attacked one contest all.
"""

from itertools import permutations

from benchmarks.poison import DEFAULT, POLICIES, believe, gated, hostile_events, in_slice, small_profile
from fraud.data.sources import load_transactions
from fraud.models.split import split
from fraud.retraining.evidence import slice_findings
from fraud.retraining.gate import Alerts, GatePolicy
from fraud.retraining.slice_gate import SlicePolicy

SEEDS = range(7, 12)


def main() -> None:
    profile = small_profile(n_transactions=80_000, days=120, test_days=45, trees=25, rounds=80)
    base, _ = load_transactions(profile, None)
    plan = split(base, profile, 7)
    test = base.take(plan.test)
    attacked = (test.labels == 1) & in_slice(test)
    assert profile.main_entity is not None
    cards = {test.texts[profile.main_entity.column].codes[i] for i in attacked.nonzero()[0]}
    print(
        f"{int((test.labels == 1).sum())} frauds; attacked slice {int(attacked.sum())} of {len(cards)} cards"
    )
    equals = [believe(f"seed {seed}", [], DEFAULT, base, plan, profile, seed=seed)[0] for seed in SEEDS]
    hostile = hostile_events(base, plan, profile, 600)
    naive, result = believe("naive", hostile, POLICIES["naive"], base, plan, profile)
    for least in (20, 50):
        policy = GatePolicy(margin_ap=1, margin_f1=1, slices=SlicePolicy(min_frauds=least))
        n_refused, worst = 0, []
        for champion, challenger in permutations(equals, 2):
            sides = [
                {n: Alerts(m.test_probability, m.thresholds.review) for n, m in training.models.items()}
                for training in (champion, challenger)
            ]
            found = slice_findings(test, profile, sides[0], sides[1], policy)
            n_refused += bool(found.harmed)
            worst.append(max(f.champion - f.challenger for f in found.judged if f.metric == "recall"))
        print(f"from {least} frauds: {n_refused} of {len(worst)} equals refused, worst loss {max(worst):.3f}")
        for champion in equals:
            harmed = gated(result, champion, naive, policy).harmed
            print(
                "  attacked:", [(h.model, h.slice, round(h.champion - h.challenger, 2), h.p) for h in harmed]
            )


if __name__ == "__main__":
    main()
