"""One retraining run: decide, train, gate, record, promote; each step on disk before the next begins.

A run that was killed is gone on with by the next one, if what it stands on is still so; else it is abandoned
and a new one begins (docs/decisions/0022-retraining-and-the-gate.md). What a maintainer decided in between
stands (docs/decisions/0025-killed-at-any-moment.md).
"""

from dataclasses import replace

from fraud.errors import NotFound
from fraud.feedback.labels import Resolution
from fraud.models.bundle import Bundle, load_bundle
from fraud.retraining.gold import read_gold
from fraud.retraining.policy import Decision, decide_retraining
from fraud.retraining.request import Believed, Outcome, Request, believe, dropped, trust_policy
from fraud.retraining.runs import Run, prune, read_runs, start
from fraud.retraining.situation import digest_of, labels_digest, survey
from fraud.retraining.steps import Steps, overruled


def retrain(request: Request) -> Outcome:
    """Train a challenger if one is due, gate it, record it and promote it; or go on where a run was killed.

    The caller sees to it that nobody else is at it: `fraud.durable.exclusive`.

    Raises
    ------
    NotFound
        The named revision does not exist.
    BundleRefused
        The champion, or what was just trained, is not sound.
    StorageError
        A record on disk is damaged, or cannot be written.
    """
    serving = request.registry.champion()
    directory = request.artifacts if serving is None else serving[1]
    champion = load_bundle(directory, request.registry.trusted)
    outcome = _Job(request, champion).run()
    prune(request.runs, request.keep_runs)
    return outcome


class _Job:
    def __init__(self, request: Request, champion: Bundle) -> None:
        self._request = request
        self._champion = champion
        self._profile = read_gold(request.runs).applied_to(champion.profile)
        self._trust = trust_policy(champion.profile) if request.trust is None else request.trust
        self._seed = int(
            champion.manifest["seed"]
        )  # another would deal other rows into a random held-out part

    def run(self) -> Outcome:
        run = self._resumable()
        if run is None:
            started = self._decide()
            if isinstance(started, Outcome):
                return started
            run = started
        work = Steps(self._request, self._champion, self._profile, self._trust, self._seed, run)
        return work.finish()

    def _inputs(self, believed: Resolution) -> str:
        """Return the digest of what an outcome depends on; the base table's bytes are checked when read."""
        request = self._request
        return digest_of(
            [
                self._champion.manifest_digest,
                labels_digest(believed),
                request.revision,
                request.base_digest,
                request.gate.to_json(),
                self._trust.to_json(),
                self._profile.model_dump(mode="json"),
            ]
        )

    def _resumable(self) -> Run | None:
        """Return the run to go on with; one that stands on what is no longer so is abandoned."""
        unfinished = [run for run in read_runs(self._request.runs) if run.state is None]
        for run in unfinished[1:]:
            run.over("abandoned")
        if not unfinished:
            return None
        run = unfinished[0]
        if "recorded" in run.steps and self._was_decided(run):
            return None
        revision = run.steps["decided"]["dataset_revision"]
        # As of the run's moment the newest flags change nothing, but whatever was withdrawn since does.
        believed = believe(self._request, self._trust, self._request.revision, run.started_at)
        if self._inputs(believed.resolution) != run.inputs or not self._exists(revision):
            self._request.progress(f"run {run.run_id} stands on what has changed since; starting anew")
            run.over("abandoned")
            return None
        done = ", ".join(run.steps)
        self._request.progress(f"going on with run {run.run_id}: {done} done")
        return run

    def _was_decided(self, run: Run) -> bool:
        """End a run whose challenger was promoted, or decided upon by a maintainer, since it was recorded."""
        request, recorded = self._request, run.steps["recorded"]
        version, aliases = str(recorded["version"]), request.registry.aliases()
        if aliases.champion == version:
            if request.promote is not None:
                # Changes no alias, not even if somebody rolls back at this moment; who was not told yet is.
                request.promote(version, expected=aliases.sequence)
            run.done("promoted", {"version": version}).over("promoted")
            request.progress(f"run {run.run_id} had promoted {version} before it was stopped")
            return True
        if "promoted" in run.steps:
            run.over("promoted")
            request.progress(f"run {run.run_id} had promoted {version}, which serves no more")
            return True
        # A run of an older program did not write down the sequence.
        if aliases.challenger == version and recorded.get("sequence", aliases.sequence) == aliases.sequence:
            return False
        run.over("overruled")
        request.progress(overruled(version))
        return True

    def _exists(self, revision: str | None) -> bool:
        """Return whether a revision is still there: a purge rewrites the history."""
        try:
            return revision is None or bool(self._request.dataset.resolve(revision))
        except NotFound:
            return False

    def _decide(self) -> Run | Outcome:
        request = self._request
        believed = believe(request, self._trust, request.revision, request.now)
        situation = survey(
            self._champion,
            request.registry,
            believed.events,
            believed.resolution,
            believed.revision,
            request.now,
        )
        inputs = self._inputs(believed.resolution)
        refused = [r.run_id for r in read_runs(request.runs) if r.state == "refused" and r.inputs == inputs]
        changed = request.base_digest not in (None, self._champion.manifest["data"].get("sha256"))
        situation = replace(
            situation,
            base_changed=changed,
            firing=tuple(request.firing),
            forced=request.force,
            refused=refused[0] if refused else None,
            built=None if changed else situation.built,
        )
        decision = decide_retraining(situation, request.policy)
        n_labels = len(believed.resolution.labels)
        if not decision.due:
            unused = dropped(believed.resolution)
            return Outcome(None, decision.reasons, None, False, believed.revision, n_labels, unused)
        return self._started(believed, decision, inputs)

    def _started(self, believed: Believed, decision: Decision, inputs: str) -> Run:
        request = self._request
        n_labels = len(believed.resolution.labels)
        run = start(
            request.runs,
            request.now,
            inputs,
            {
                "reasons": list(decision.reasons),
                "dataset_revision": believed.revision,
                "n_labels": n_labels,
                "champion": self._champion.version,
                "manifest_digest": self._champion.manifest_digest,
                "policy": request.policy.to_json(),
            },
        )
        request.progress(f"decided: {'; '.join(decision.reasons)}")
        request.progress(f"{n_labels:,} labels at dataset revision {(believed.revision or 'none')[:12]}")
        return run
