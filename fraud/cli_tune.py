"""`python -m fraud tune`: the search for a profile's [models], or a check of those it has, and the report."""

import argparse
import platform
import re
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud.cli_scale import add_engine_options, loaded_for_search
from fraud.errors import FraudError, ProfileError
from fraud.records import MODELS
from fraud.settings import ROOT, Settings

if TYPE_CHECKING:
    from fraud.data.profile import ModelSettings, Profile
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
    either = tune.add_mutually_exclusive_group()
    either.add_argument("--write", type=Path, metavar="FILE", help="profile .toml whose [models] to replace")
    either.add_argument(
        "--check",
        action="store_true",
        help="search nothing: the profile's own settings against the libraries' defaults, on the same folds",
    )
    add_engine_options(tune)
    tune.set_defaults(run=_tune)


def _tune(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.data.profile import load_profile

    profile = load_profile(options.profile)
    if options.check:
        from fraud.models.tuning import check

        with loaded_for_search(options, profile) as (transactions, _, judged):
            checked = check(
                transactions,
                profile,
                n_folds=options.folds,
                seed=options.seed,
                models=options.models,
                judged=judged,
            )
        print(report(checked, profile))
        return
    try:
        import optuna  # noqa: F401
        from tqdm import tqdm
    except ImportError as error:
        raise FraudError("tune needs optuna; install requirements-dev.txt.", code="not_installed") from error
    from fraud.models.tuning import tune

    with (
        loaded_for_search(options, profile) as (transactions, source, judged),
        tqdm(total=options.trials * len(options.models), unit="trial", file=sys.stderr) as bar,
    ):

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
            judged=judged,
        )
    print(report(tuned, profile))
    if options.write is not None:
        text = options.write.read_text(encoding="utf-8")
        options.write.write_text(with_models(text, models_section(tuned, profile)), encoding="utf-8")
        print(f"wrote [models] of {options.write}")


def report(tuned: Mapping[str, "Tuned"], profile: "Profile") -> str:
    """Return the whole outcome as Markdown; after a search the [models] section to use last."""
    from fraud.models.tuning import fitted_by

    searched = any(outcome.origin != "check" for outcome in tuned.values())
    engines = "; ".join(f"{name} by {fitted_by(name)}" for name in tuned)
    sampler = f", optuna {version('optuna')}" if searched else ""
    lines = [f"python {platform.python_version()}{sampler}; {engines}; profile {profile.name}", ""]
    for name, outcome in tuned.items():
        lines += _one(name, outcome)
    if not searched:
        return "\n".join(lines).rstrip()
    return "\n".join([*lines, "```toml", models_section(tuned, profile).rstrip(), "```"])


def _one(name: str, outcome: "Tuned") -> list[str]:
    lines = _settings_of_check(name, outcome) if outcome.origin == "check" else _trials(name, outcome)
    last = "" if outcome.origin == "check" else ", the last held back"
    lines += ["", f"| AP by fold, oldest first{last} | frauds | chosen settings | library defaults |"]
    lines.append("|---|---|---|---|")
    folds = zip(outcome.labels, outcome.optimised, outcome.baseline, strict=True)
    for number, (labels, ours, theirs) in enumerate(folds, start=1):
        lines.append(f"| {number} | {int((labels == 1).sum())} | {ours.ap:.4f} | {theirs.ap:.4f} |")
    return [*lines, "", claim(outcome), ""]


def _settings_of_check(name: str, outcome: "Tuned") -> list[str]:
    return [f"## {name}: the profile's own settings, no search", "", f"`{_chosen(name, outcome.settings)}`"]


def _trials(name: str, outcome: "Tuned") -> list[str]:
    lines = [
        f"## {name}: {len(outcome.trials)} trials, {outcome.n_pruned} more pruned",
        "",
        "| AP on the search folds | mean | parameters |",
        "|---|---|---|",
    ]
    for trial in outcome.trials[:8]:
        each = ", ".join(f"{p:.4f}" for p in trial.precisions)
        lines.append(f"| {each} | {trial.mean:.4f} | {_chosen(name, trial.settings)} |")
    return lines


def _chosen(name: str, settings: "ModelSettings") -> dict[str, Any]:
    return dict(getattr(settings, name)) | {"negatives_per_fraud": settings.negatives_for(name)}


_NEWEST = {
    "search": "on the held-back fold, which the search never saw",
    "profile": "on the held-back fold, by which this search chose nothing",
    "check": "on the newest fold",
}
_SEEN = {
    "search": "",
    "profile": " The settings chosen are the profile's own: they are older than this search, and what they "
    "were chosen on, this fold perhaps, no command can know (docs/tuning.md tells of the shipped profiles).",
    "check": " Nothing was searched here; what these settings were chosen on, these folds perhaps, no "
    "command can know (docs/tuning.md tells of the shipped profiles).",
}


def claim(outcome: "Tuned") -> str:
    """Return what may be said of one model, and what its settings had seen when it was judged."""

    def text(interval: tuple[float, float, float]) -> str:
        return "{:+.4f} [{:+.4f}, {:+.4f}]".format(*interval)

    if outcome.may_be_called_optimised:
        verdict = "may be called optimised: that interval lies above zero"
    elif outcome.held_back[1] > 0:
        verdict = "may NOT be called optimised: over all folds it is no better than the defaults"
    elif outcome.held_back[2] < 0:
        verdict = "may NOT be called optimised: it is worse than the defaults there"
    else:
        verdict = "may NOT be called optimised: that interval holds zero"
    calibration = (
        f" Calibration of least log loss: {outcome.calibration}." if outcome.origin != "check" else ""
    )
    described = (
        "" if outcome.origin == "check" else " (a description: the settings were chosen by the others)"
    )
    return (
        f"Difference of AP, paired 95% interval: {text(outcome.held_back)} {_NEWEST[outcome.origin]}; of the "
        f"mean over all folds {text(outcome.difference)}{described}. This model {verdict}."
        f"{_SEEN[outcome.origin]}{calibration}"
    )


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
    """Return a profile's text with its [models] tables replaced, or added; comments elsewhere stay.

    Raises
    ------
    ProfileError
        The text has its models in another form than tables.
    """
    found = list(re.finditer(r"(?ms)^\[models(?:\.\w+)?\]\n.*?(?=^\[|\Z)", profile))
    if not found:
        if re.search(r"(?m)^\s*models\b", profile):
            raise ProfileError("The profile's models are no [models] section; make them one.", code="profile")
        return profile.rstrip("\n") + "\n\n" + section
    rest = profile[found[0].end() :]
    for table in found[1:]:  # `profile infer` writes one for each model
        rest = rest.replace(table[0], "", 1)
    return profile[: found[0].start()] + section + "\n" * bool(rest) + rest
