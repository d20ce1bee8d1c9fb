"""`python -m fraud tune`: the search for a profile's [models], and its report."""

import argparse
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud.errors import FraudError, ProfileError
from fraud.records import MODELS
from fraud.settings import ROOT, Settings

if TYPE_CHECKING:
    from fraud.data.profile import Profile
    from fraud.models.tuning import Tuned


def add_tune(commands: Any) -> None:
    """Add `tune`."""
    tune = commands.add_parser("tune", help="search hyperparameters on data before the test window")
    tune.add_argument("--profile", default="cards", help="a shipped one or a .toml file (default: cards)")
    tune.add_argument("--data", type=Path, help="CSV or Parquet table (default: the profile's simulator)")
    tune.add_argument("--trials", type=int, default=30, help="per model, resumed ones included (default: 30)")
    tune.add_argument("--folds", type=int, default=4, help="periods; the newest is held back (default: 4)")
    tune.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    tune.add_argument("--seed", type=int, default=7)
    tune.add_argument(
        "--study", type=Path, default=ROOT / "build" / "tune.journal", help="file the search is resumed from"
    )
    tune.add_argument("--write", type=Path, metavar="FILE", help="profile .toml whose [models] to replace")
    tune.set_defaults(run=_tune)


def _tune(options: argparse.Namespace, settings: Settings) -> None:
    try:
        import optuna  # noqa: F401
        from tqdm import tqdm
    except ImportError as error:
        raise FraudError("tune needs optuna; install requirements-dev.txt.", code="not_installed") from error
    from fraud.data.profile import load_profile
    from fraud.data.sources import load_transactions
    from fraud.models.tuning import tune

    profile = load_profile(options.profile)
    transactions, source = load_transactions(profile, options.data)
    with tqdm(total=options.trials * len(options.models), unit="trial", file=sys.stderr) as bar:

        def on_trial(name: str, n_done: int) -> None:
            bar.set_description(name)
            bar.n = options.models.index(name) * options.trials + n_done
            bar.refresh()

        tuned = tune(
            transactions,
            profile,
            n_trials=max(1, options.trials),
            study=options.study,
            data_digest=str(source["sha256"]),
            n_folds=options.folds,
            seed=options.seed,
            models=options.models,
            on_trial=on_trial,
        )
    print(report(tuned, profile))
    if options.write is not None:
        text = options.write.read_text(encoding="utf-8")
        options.write.write_text(with_models(text, models_section(tuned, profile)), encoding="utf-8")
        print(f"wrote [models] of {options.write}")


def report(tuned: Mapping[str, "Tuned"], profile: "Profile") -> str:
    """Return the whole outcome as Markdown, the [models] section to use last."""
    import optuna
    import sklearn
    import xgboost

    lines = [
        f"python {platform.python_version()}, optuna {optuna.__version__}, scikit-learn "
        f"{sklearn.__version__}, xgboost {xgboost.__version__}; profile {profile.name}",
        "",
    ]
    for name, outcome in tuned.items():
        lines += _one(name, outcome)
    return "\n".join([*lines, "```toml", models_section(tuned, profile).rstrip(), "```"])


def _one(name: str, outcome: "Tuned") -> list[str]:
    def text(interval: tuple[float, float, float]) -> str:
        return "{:+.4f} [{:+.4f}, {:+.4f}]".format(*interval)

    lines = [
        f"## {name}: {len(outcome.trials)} trials, {outcome.n_pruned} more pruned",
        "",
        "| AP on the search folds | mean | parameters |",
        "|---|---|---|",
    ]
    for trial in outcome.trials[:8]:
        chosen = dict(getattr(trial.settings, name)) | {
            "negatives_per_fraud": trial.settings.negatives_for(name)
        }
        each = ", ".join(f"{p:.4f}" for p in trial.precisions)
        lines.append(f"| {each} | {trial.mean:.4f} | {chosen} |")
    lines += [
        "",
        "| AP by fold, oldest first, the last held back | optimised | library defaults |",
        "|---|---|---|",
    ]
    for number, (ours, theirs) in enumerate(zip(outcome.optimised, outcome.baseline, strict=True), start=1):
        lines.append(f"| {number} | {ours.ap:.4f} | {theirs.ap:.4f} |")
    verdict = (
        "may be called optimised"
        if outcome.may_be_called_optimised
        else "may NOT be called optimised: the interval holds zero, or the held-back fold disagrees"
    )
    return [
        *lines,
        "",
        f"Difference of mean AP, paired 95% interval: {text(outcome.difference)}; on the held-back fold "
        f"alone {text(outcome.held_back)}. This model {verdict}. Calibration of least log loss: "
        f"{outcome.calibration}.",
        "",
    ]


def models_section(tuned: Mapping[str, "Tuned"], profile: "Profile") -> str:
    """Return the [models] section of a profile, as TOML.

    A model whose search found nothing that may be called optimised keeps the settings that it had.
    """
    sound = {n: t for n, t in tuned.items() if t.may_be_called_optimised}
    chosen = {n: sound[n].settings if n in sound else profile.models for n in MODELS}
    ratios = {n: r for n, settings in chosen.items() if (r := settings.negatives_for(n)) is not None}
    methods = {n: sound[n].calibration if n in sound else profile.models.calibration_for(n) for n in MODELS}
    methods = {n: method for n, method in methods.items() if method != "beta"}
    lines = ["[models]"]
    if ratios:
        lines.append(f"negatives_per_fraud = {_inline(ratios)}")
    if methods:
        lines.append(f"calibration = {_inline(methods)}")
    lines += [f"{n} = {_inline(dict(getattr(settings, n)))}" for n, settings in chosen.items()]
    return "\n".join(lines) + "\n"


def _inline(table: Mapping[str, Any]) -> str:
    def value(v: Any) -> str:
        return str(v).lower() if isinstance(v, bool) else f'"{v}"' if isinstance(v, str) else f"{v}"

    return "{ " + ", ".join(f"{k} = {value(v)}" for k, v in table.items()) + " }"


def with_models(profile: str, section: str) -> str:
    """Return a profile's text with its [models] section replaced; comments elsewhere stay.

    Raises
    ------
    ProfileError
        The text has no [models] section.
    """
    found = re.search(r"(?ms)^\[models\]\n.*?(?=^\[|\Z)", profile)
    if found is None:
        raise ProfileError("The profile has no [models] section to replace; add one.", code="profile")
    return profile[: found.start()] + section + "\n" * (found.end() < len(profile)) + profile[found.end() :]
