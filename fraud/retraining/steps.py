"""The steps of a run that was decided: train, gate, record, promote; each is skipped if it is done."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from fraud.data.profile import Profile
from fraud.data.table import Transactions
from fraud.errors import BundleRefused, RepositoryError
from fraud.feedback.caps import cap
from fraud.feedback.labels import Resolution
from fraud.feedback.trust import TrustPolicy, decide
from fraud.models import bundle
from fraud.models.bundle import Bundle, load_bundle
from fraud.models.bundle_writer import write_bundle
from fraud.models.examples import choose_examples
from fraud.models.split import Split, split
from fraud.models.train import average_fraud, train
from fraud.models.versioning import recipe as recipe_digests
from fraud.records import MODELS
from fraud.registry import DECIDED_MEANWHILE, ReleasePlan
from fraud.retraining.base_labels import heed_base
from fraud.retraining.evidence import measure
from fraud.retraining.feedback_rows import FeedbackRows, feedback_rows
from fraud.retraining.finishing import finish_bundle
from fraud.retraining.gate import Check, Evidence, Verdict, judge
from fraud.retraining.gate_report import GateReport, write_report
from fraud.retraining.gate_texts import sentence
from fraud.retraining.gold import Window, read_gold, window_of, write_gold
from fraud.retraining.request import Believed, Outcome, Request, believe, dropped
from fraud.retraining.runs import Run
from fraud.retraining.slices import base_frauds
from fraud.retraining.uses import flag_uses


@dataclass(frozen=True)
class _Prepared:
    """The rows of one run."""

    transactions: Transactions
    origin: dict[str, Any]
    plan: Split
    settled: Resolution
    capped: Resolution
    rows: FeedbackRows
    window: Window


class Steps:
    """One run on its way; what several steps need is computed once, and only if a step needs it."""

    def __init__(
        self,
        request: Request,
        champion: Bundle,
        profile: Profile,
        trust: TrustPolicy,
        seed: int,
        run: Run,
    ) -> None:
        self._request = request
        self._champion = champion
        self._profile = profile
        self._trust = trust
        self._seed = seed
        self._run = run

    def finish(self) -> Outcome:
        """Do what is left of the run."""
        self._check_trained()
        if "trained" not in self._run.steps:
            if self._spent():
                return self._refused()
            self._train()
        if "gated" not in self._run.steps:
            self._gate()
        if not self._run.steps["gated"]["passed"]:
            return self._refused()
        if "recorded" not in self._run.steps:
            version = self._record()
            if not self._contest(version):
                return self._overruled(version)
        return self._promote()

    @cached_property
    def _revision(self) -> str | None:
        revision = self._run.steps["decided"]["dataset_revision"]
        return None if revision is None else str(revision)

    @cached_property
    def _believed(self) -> Believed:
        if self._revision is None:
            return Believed(None, (), decide([], self._trust, as_of=self._run.started_at))
        return believe(self._request, self._trust, self._revision, self._run.started_at)

    @cached_property
    def _prepared(self) -> _Prepared:
        transactions, origin = self._request.base(self._profile)
        plan = split(transactions, self._profile, self._seed)
        frauds = base_frauds(transactions, plan, self._profile)
        believed = self._believed
        settled = heed_base(
            believed.events,
            believed.resolution,
            transactions,
            plan,
            self._profile,
            self._trust,
            self._run.started_at,
        )
        capped = cap(settled, self._trust, frauds)
        rows = feedback_rows(capped.labels, transactions, plan, self._profile, self._run.started_at)
        window = window_of(transactions, plan.test, self._profile)
        return _Prepared(transactions, origin, plan, settled, capped, rows, window)

    def _check_trained(self) -> None:
        """Train anew where the challenger's files are gone, or not those that were trained."""
        if "trained" not in self._run.steps or "recorded" in self._run.steps:
            return
        try:
            load_bundle(self._run.bundle)
        except BundleRefused:
            self._request.progress("the challenger's files are not whole; training anew")
            shutil.rmtree(self._run.bundle, ignore_errors=True)
            self._run = self._run.again("trained")

    def _spent(self) -> bool:
        """Refuse before the training where the held-out window may judge no more."""
        gold, window = read_gold(self._request.runs), self._prepared.window
        uses = gold.used(window, self._run.run_id).uses(window)
        budget = self._request.gate.gold_budget
        if uses <= budget:
            return False
        check = Check("gold", False, {"uses": uses - 1, "budget": budget})
        self._report(Verdict((check,)), None, "-")
        self._run = self._run.done("gated", _gated(Verdict((check,))))
        return True

    def _train(self) -> None:
        request, prepared, rows = self._request, self._prepared, self._prepared.rows
        training = train(
            rows.base,
            self._profile,
            seed=self._seed,
            additions=rows.additions,
            plan=prepared.plan,
            newest_cut_off=request.newest_cut_off,
            forest_engine=request.forest_engine,
            progress=request.progress,
        )
        release = self._release(training.pipeline.names)
        version = release.version
        recipe = {
            "dataset_revision": self._revision,
            "as_of": self._run.started_at.isoformat(),
            "run": self._run.run_id,
            "decided_because": self._run.steps["decided"]["reasons"],
            "n_labels": rows.n_used,
            "unused": dict(rows.unused) | dropped(prepared.capped),
            "trust": _trust_record(
                self._trust, len(self._believed.resolution.labels), prepared.settled, prepared.capped
            ),
            "champion": self._champion.version,
        }
        write_bundle(
            training,
            self._run.bundle,
            version=version,
            data_source=prepared.origin | {"feedback": recipe},
            examples=choose_examples(training),
            uses=flag_uses(self._believed.events, prepared.capped, rows, self._run.started_at),
            notes=release.notes,
        )
        result = {"version": version, "n_used": rows.n_used, "unused": recipe["unused"]}
        self._run = self._run.done("trained", result | {"origin": prepared.origin.get("sha256")})
        request.progress(f"trained: {version} with {rows.n_used} labels")

    def _release(self, features: Sequence[str]) -> ReleasePlan:
        """Return the next version and what it changes against the champion, which is recorded if it was not.

        A rollback must find what serves today, and its number must be taken.
        """
        self._request.registry.ensure_champion(self._request.artifacts)
        parameters = {name: dict(getattr(self._profile.models, name)) for name in MODELS}
        return self._request.registry.plan(recipe_digests(self._profile, features, parameters))

    def _gate(self) -> None:
        prepared, run = self._prepared, self._run
        if prepared.origin.get("sha256") != run.steps["trained"]["origin"]:
            self._request.progress("the base table is another than it was; training anew")
            self._run = run.again("trained")
            self._train()
        gold = read_gold(self._request.runs).used(prepared.window, run.run_id)
        write_gold(self._request.runs, gold)  # before the answer is known: a crash must not make a use free
        challenger = load_bundle(run.bundle)
        evidence = measure(
            self._champion,
            challenger,
            prepared.rows.base,
            prepared.plan.test,
            self._request.gate,
            gold.uses(prepared.window),
            average_fraud(prepared.rows.base, prepared.plan, self._profile),
        )
        verdict = judge(evidence, self._request.gate)
        self._report(verdict, evidence, challenger.version)
        figures = {name: model.comparison.to_json() for name, model in evidence.models.items()}
        self._run = self._run.done("gated", _gated(verdict) | {"figures": figures})
        self._request.progress(f"gated: {'passed' if verdict.passed else 'refused'}")

    def _report(self, verdict: Verdict, evidence: Evidence | None, challenger: str) -> None:
        window = self._prepared.window
        report = GateReport(
            run_id=self._run.run_id,
            made_at=self._run.started_at.isoformat(),
            champion=self._champion.version,
            challenger=challenger,
            dataset_revision=self._revision,
            n_labels=int(self._run.steps.get("trained", {}).get("n_used", 0)),
            window={"digest": window.digest, "n_rows": window.n_rows, "n_frauds": window.n_frauds},
            window_words=window.words,
            verdict=verdict,
            evidence=evidence,
            policy=self._request.gate,
        )
        write_report(report, self._run.directory, self._request.language)

    def _record(self) -> str:
        """Return the version that the challenger is recorded under."""
        request, trained = self._request, self._run.steps["trained"]
        features = bundle.read_manifest(self._run.bundle)[0]["features"]
        release = self._release(features)
        version = str(trained["version"])  # the plan's own number steps over it once it is recorded
        self._finish(version, release)
        message = f"trained with {trained['n_used']} labels from feedback"
        try:
            request.registry.record(self._run.bundle, f"Record {version} {message}")
        except RepositoryError:
            # Somebody recorded another bundle under this version meanwhile.
            release = self._release(features)
            if release.version == version:
                raise
            version = release.version
            self._run = self._run.done("trained", dict(trained) | {"version": version})
            self._finish(version, release)
            request.registry.record(self._run.bundle, f"Record {version} {message}")
        return version

    def _contest(self, version: str) -> bool:
        """Name the challenger; return False where somebody's decision came before.

        It was named before this step was done, and is the challenger no more; or the champion that the gate
        compared it with is the champion no more.
        """
        registry = self._request.registry
        aliases = registry.aliases()
        if aliases.challenger != version:
            if registry.was_challenger(version):
                return False
            aliases = registry.set_challenger(version, who=self._request.who, expected=aliases.sequence)
        # The promotion is refused if anybody decides from here on.
        self._run = self._run.done("recorded", {"version": version, "sequence": aliases.sequence})
        self._request.progress(f"recorded: {version}")
        return aliases.champion == self._champion.version

    def _finish(self, version: str, release: ReleasePlan) -> None:
        gated = self._run.steps["gated"]
        feedback = {"gate": gated["figures"], "reasons": gated["reasons"]}
        run = self._run
        finish_bundle(run.bundle, run.directory, self._profile, version, release.notes, feedback)
        self._request.progress(f"finished: {version}")

    def _promote(self) -> Outcome:
        recorded = self._run.steps["recorded"]
        version = str(recorded["version"])
        if self._request.promote is None:
            self._run = self._run.over("recorded")
            return self._outcome(version, False)
        try:
            self._request.promote(version, expected=recorded.get("sequence"))
        except RepositoryError as error:
            # Where it is the champion, the decision may be this one's own, whose answer was lost on the way:
            # the next run finishes it.
            if error.code != DECIDED_MEANWHILE or self._request.registry.aliases().champion == version:
                raise
            return self._overruled(version)
        self._run = self._run.done("promoted", {"version": version})
        self._request.progress(f"promoted: {version}")
        self._run = self._run.over("promoted")
        return self._outcome(version, True)

    def _overruled(self, version: str) -> Outcome:
        self._run = self._run.over("overruled")
        return replace(self._outcome(version, False), overruled=overruled(version))

    def _refused(self) -> Outcome:
        data: dict[str, object] = {
            "run": self._run.run_id,
            "champion": self._champion.version,
            "dataset_revision": self._revision,
            # A payload is thin; the report has them all.
            "reasons": [str(reason)[:300] for reason in self._run.steps["gated"]["reasons"][:10]],
        }
        run = self._run
        self._request.notify("gate.refused", data, run.started_at, run.message_id)
        self._run = self._run.over("refused")
        return self._outcome(None, False)

    def _outcome(self, version: str | None, promoted: bool) -> Outcome:
        gated, trained = self._run.steps["gated"], self._run.steps.get("trained", {})
        checks = [Check(c["check"], c["passed"], c["params"], c["model"]) for c in gated["checks"]]
        return Outcome(
            verdict=Verdict(tuple(checks)),
            reasons=tuple(gated["reasons"]),
            version=version,
            promoted=promoted,
            dataset_revision=self._revision,
            n_labels=int(trained.get("n_used", 0)),
            unused=dict(trained.get("unused", {})),
            report=self._run.directory,
        )


def overruled(version: str) -> str:
    """Return what to say of a run that somebody's decision ended."""
    return (
        f"{version} is not promoted, because somebody has decided since it was judged; "
        "`python -m fraud versions --decisions` says who and what"
    )


def _gated(verdict: Verdict) -> dict[str, Any]:
    return {
        "passed": verdict.passed,
        "reasons": [sentence(check) for check in verdict.reasons],
        "checks": [check.to_json() for check in verdict.checks],
    }


def _trust_record(
    trust: TrustPolicy, n_decided: int, decided: Resolution, capped: Resolution
) -> dict[str, object]:
    """Return what the manifest says of the labels' trust: the policy, and how many labels fell under what."""
    weights = {label.content_digest: label.weight for label in decided.labels}
    return {
        "policy": trust.to_json(),
        "n_decided": n_decided,
        "n_in_base": sum(label.in_base for label in decided.labels),
        "n_reviewed": sum(label.reviewed for label in decided.labels),
        "n_asked": sum(label.asked and not label.settled for label in decided.labels),
        "n_by_quorum": sum(
            not label.settled and label.weight >= trust.quorum_weight for label in decided.labels
        ),
        "n_capped": sum(label.weight < weights[label.content_digest] for label in capped.labels),
        "weight_decided": round(sum(label.weight for label in decided.labels), 6),
        "weight_capped": round(sum(label.weight for label in capped.labels), 6),
        "dropped": dropped(capped),
    }
