"""Which flags count, how much, and why: what stands between strangers and the training data. Pure.

The order of defence: one vote per reporter and content, quarantine, reviews, consensus, quorum (`decide`),
then caps (fraud/feedback/caps.py). Every label and every refusal carries its reasons
(docs/decisions/0011-trust.md).
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import numpy as np

from fraud.errors import NotFound, SettingsError
from fraud.feedback.audit import AuditPolicy, claim_stands_for
from fraud.feedback.crowdlab import Consensus, Votes, consensus
from fraud.feedback.events import Event, FlagEvent, PredictionEvent, ReviewEvent, WithdrawalEvent
from fraud.feedback.labels import DroppedLabel, Resolution, ResolvedLabel
from fraud.records import Finding, Label

IN_QUARANTINE = "in quarantine"
_REVIEWERS = ""  # the voter that reviews are in the consensus; no pseudonym is empty


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """How far people are believed. A row of the base table counts 1.

    Attributes
    ----------
    quarantine_days : age from which a flag is used without a review
    use_consensus : whether voters are weighed by how they agree with others, reviews and the models
    min_confidence : consensus probability below which a label with several voters is not used
    quorum : reporters from which a label counts in full
    min_agreement : agreement with others below which a reporter does not count for a quorum
    lone_weight : weight below the quorum, times the reporters' agreement where that is known
    quorum_weight, review_weight : weight from the quorum on, and of what a maintainer accepted
    max_share_per_reporter : largest share of all unreviewed weight
    max_per_reporter, max_per_slice, max_in_all : largest unreviewed weight, in frauds of the base table
        (of the slice, for a slice); never below one row's
    asked_weight : weight that an answer to the audit lot has in training below the quorum, times the
        reporters' agreement: whoever answers did not choose what to speak of
    max_asked : largest unreviewed weight of answers to the lot, as a share of the base table's training rows,
        in each slice and in all: as many as the lot would have asked about them
    max_asked_frauds, max_asked_alarms : of those that say "fraud", in all, and of those that call an alert
        false, in each slice, in frauds of the base table (of the slice)
    heed_base : whether what the base table knows of a flagged transaction confirms and contradicts flags
    least_weight : what caps leave less of is thinned out to this weight: a tree's leaf counts rows, so a
        thousand rows of next to no weight would still carve out a region of their own
    """

    quarantine_days: float = 7.0
    use_consensus: bool = True
    min_confidence: float = 0.55
    quorum: int = 2
    min_agreement: float = 0.5
    lone_weight: float = 0.1
    quorum_weight: float = 1.0
    review_weight: float = 1.0
    max_share_per_reporter: float = 0.2
    max_per_reporter: float = 0.02
    max_per_slice: float = 0.1
    max_in_all: float = 0.25
    asked_weight: float = 1.0
    max_asked: float = AuditPolicy().share
    max_asked_frauds: float = 1.0
    max_asked_alarms: float = 1.0
    heed_base: bool = True
    least_weight: float = 0.1

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if math.isnan(value) or value < 0:
                raise SettingsError(f"{name} of the trust policy must be 0 or more.", field=name)

    @classmethod
    def naive(cls) -> "TrustPolicy":
        """Return the policy that believes everybody: what an attack on it costs is what trust is for."""
        return cls(
            quarantine_days=0,
            use_consensus=False,
            quorum=1,
            max_share_per_reporter=1,
            max_per_reporter=math.inf,
            max_per_slice=math.inf,
            max_in_all=math.inf,
            max_asked=math.inf,
            max_asked_frauds=math.inf,
            max_asked_alarms=math.inf,
            heed_base=False,
        )

    def to_json(self) -> dict[str, object]:
        """Return a JSON object; no cap is null."""
        return {name: None if value == math.inf else value for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class _Content:
    """The flags on one content: those kept, and for each reporter the latest."""

    digest: str
    shown: tuple[PredictionEvent, ...]
    flags: tuple[FlagEvent, ...]
    latest: tuple[FlagEvent, ...]
    findings: Mapping[str, ReviewEvent]


@dataclass(frozen=True, slots=True)
class _Case:
    """One content after quarantine and reviews: the votes that are left, and what reviewers said."""

    content: _Content
    votes: tuple[FlagEvent, ...]
    accepted: FlagEvent | None
    reviewed: Label | None
    refusal: tuple[str, str] | None


def decide(events: Iterable[Event], policy: TrustPolicy, *, as_of: datetime) -> Resolution:
    """Return what each flagged content is believed to be at `as_of`, uncapped; later events do not count.

    A withdrawn flag is used for nothing, even as of a time before it was withdrawn.
    """
    contents, orphans = _contents(events, as_of)
    cases = [_case(content, policy, as_of) for content in contents]
    found, agreement = _consensus(cases) if policy.use_consensus else ({}, {})
    labels: list[ResolvedLabel] = []
    dropped = list(orphans)
    for case in cases:
        outcome = _resolve(case, policy, found.get(case.content.digest), agreement)
        if isinstance(outcome, ResolvedLabel):
            labels.append(outcome)
        else:
            dropped.append(outcome)
    return Resolution(tuple(labels), tuple(sorted(dropped, key=lambda item: item.content_digest)))


def explain_label(resolution: Resolution, events: Iterable[Event], flag_id: str) -> tuple[str, ...]:
    """Return why a flag counts, and how much, or why not; `flag_id` is also its receipt.

    Raises
    ------
    NotFound
        No such flag among the events.
    """
    known = list(events)
    if any(isinstance(e, WithdrawalEvent) and e.withdrawal.flag_id == flag_id for e in known):
        return ("it was withdrawn, and is used for nothing",)
    flag = next((e for e in known if isinstance(e, FlagEvent) and e.event_id == flag_id), None)
    if flag is None:
        raise NotFound(
            "No flag with this id is in the dataset; it may still be in the outbox.", code="no_flag"
        )
    for label in resolution.labels:
        if label.content_digest == flag.content_digest:
            side = "with" if label.label is flag.flag.label else "against"
            verdict = f"its content counts as {label.label} with weight {label.weight:.3g}, {side} this flag"
            return (verdict, *label.reasons)
    for drop in resolution.dropped:
        if drop.content_digest == flag.content_digest:
            return (f"it is not used: {drop.reason}", *([drop.detail] if drop.detail else []))
    return ("it is not used: it was made after the time in question",)


def _contents(events: Iterable[Event], as_of: datetime) -> tuple[list[_Content], list[DroppedLabel]]:
    known = list(events)
    withdrawn = {event.withdrawal.flag_id for event in known if isinstance(event, WithdrawalEvent)}
    predictions: dict[str, PredictionEvent] = {}
    flags: dict[str, list[FlagEvent]] = defaultdict(list)
    findings: dict[str, ReviewEvent] = {}
    for event in sorted(known, key=lambda item: (item.recorded_at, item.event_id)):
        if event.recorded_at > as_of:
            continue
        if isinstance(event, PredictionEvent):  # a withdrawn one is here only as the copy beside a flag
            predictions[event.event_id] = event
        elif event.event_id in withdrawn:
            continue
        elif isinstance(event, FlagEvent):
            flags[event.content_digest].append(event)
        elif isinstance(event, ReviewEvent):
            findings[event.review.flag_id] = event
    contents, orphans = [], []
    for digest, given in sorted(flags.items()):
        # A flag that names the prediction of another content would let one content vote for another.
        backed = [f for f in given if _is_about(predictions.get(f.flag.prediction_id), digest)]
        if not backed:
            n_voters = len({event.flag.reporter for event in given})
            orphans.append(DroppedLabel(digest, "no prediction", n_voters))
            continue
        shown = {f.flag.prediction_id: predictions[f.flag.prediction_id] for f in backed}
        latest = {f.flag.reporter: f for f in backed}
        reviews = {f.event_id: findings[f.event_id] for f in backed if f.event_id in findings}
        contents.append(
            _Content(digest, tuple(shown.values()), tuple(backed), tuple(latest.values()), reviews)
        )
    return contents, orphans


def _is_about(prediction: PredictionEvent | None, digest: str) -> bool:
    return prediction is not None and prediction.content_digest == digest


def _case(content: _Content, policy: TrustPolicy, as_of: datetime) -> _Case:
    def found(finding: Finding) -> list[FlagEvent]:
        chosen = [f for f in content.flags if f.event_id in content.findings]
        chosen = [f for f in chosen if content.findings[f.event_id].review.finding is finding]
        return sorted(chosen, key=lambda f: content.findings[f.event_id].recorded_at)

    if accepted := found(Finding.ACCEPT):
        return _Case(content, content.latest, accepted[-1], accepted[-1].flag.label, None)
    if found(Finding.UNSURE):
        return _Case(content, content.latest, None, None, ("a reviewer could not tell", ""))
    # A finding against a claim is none for its opposite: it ends that side's votes and marks its voters.
    rejected = {flag.flag.label for flag in found(Finding.REJECT)}
    reviewed = _opposite(next(iter(rejected))) if len(rejected) == 1 else None
    votes = tuple(vote for vote in content.latest if vote.flag.label not in rejected)
    if not votes:
        return _Case(content, (), None, reviewed, ("rejected by a reviewer", ""))
    ripe_at = timedelta(days=policy.quarantine_days)
    ripe = tuple(vote for vote in votes if vote.recorded_at + ripe_at <= as_of)
    if not ripe:
        until = min(vote.recorded_at for vote in votes) + ripe_at
        detail = f"until {until:%Y-%m-%d %H:%M} UTC, or until a maintainer accepts it"
        return _Case(content, votes, None, reviewed, (IN_QUARANTINE, detail))
    return _Case(content, ripe, None, reviewed, None)


def _opposite(label: Label) -> Label:
    return Label.LEGITIMATE if label is Label.FRAUD else Label.FRAUD


def _consensus(cases: Sequence[_Case]) -> tuple[dict[str, float], dict[str, float]]:
    """Return each content's probability of fraud, and each reporter's agreement where it is known."""
    triples: list[tuple[int, str, int]] = []
    for position, case in enumerate(cases):
        if case.refusal is not None and case.reviewed is None:
            continue  # what is in quarantine must not yet speak of others either
        counted = case.votes if case.reviewed is None else case.content.latest
        ballots = {vote.flag.reporter: vote.flag.label for vote in counted}
        if case.reviewed is not None:
            ballots[_REVIEWERS] = case.reviewed
        triples += [(position, name, int(label is Label.FRAUD)) for name, label in ballots.items()]
    voted = sorted({position for position, _, _ in triples})
    row = {position: i for i, position in enumerate(voted)}
    names = sorted({name for _, name, _ in triples})
    column = {name: i for i, name in enumerate(names)}
    votes = Votes(
        np.array([row[position] for position, _, _ in triples], dtype=np.int64),
        np.array([column[name] for _, name, _ in triples], dtype=np.int64),
        np.array([fraud for _, _, fraud in triples], dtype=np.int64),
        np.array([_model_probability(cases[position].content) for position in voted]),
        len(names),
    )
    found: Consensus | None = consensus(votes)
    if found is None:
        return {}, {}
    agreement = {n: float(a) for n, a in zip(names, found.agreement, strict=True) if not math.isnan(a)}
    several = np.bincount(votes.content) > 1
    return {
        cases[p].content.digest: float(found.probability[i])
        for i, p in enumerate(voted)
        if several[i] and not math.isnan(found.probability[i])
    }, agreement


def _model_probability(content: _Content) -> float:
    scores = content.shown[0].prediction.scores
    return sum(s.fraud_probability for s in scores.values()) / len(scores) if scores else 0.5


def _resolve(
    case: _Case, policy: TrustPolicy, fraud: float | None, agreement: Mapping[str, float]
) -> ResolvedLabel | DroppedLabel:
    content = case.content
    n_votes = len(content.latest)
    if case.accepted is not None:
        finding = content.findings[case.accepted.event_id]
        reason = f"a maintainer accepted it, which weighs {policy.review_weight:g} whatever others said"
        return _label(case, case.accepted.flag.label, policy.review_weight, (reason,), finding.recorded_at)
    if case.refusal is not None:
        rejected = None if case.reviewed is None else _opposite(case.reviewed)
        return DroppedLabel(content.digest, case.refusal[0], n_votes, case.refusal[1], rejected)
    sides = {label: [v for v in case.votes if v.flag.label is label] for label in Label}
    label = max(Label, key=lambda side: len(sides[side]))
    if 2 * len(sides[label]) == len(case.votes):
        return DroppedLabel(content.digest, "tied", n_votes)
    reasons = [f"{len(sides[label])} of {len(case.votes)} reporters say {label}"]
    if fraud is not None and len(case.votes) > 1:
        likelier = Label.FRAUD if fraud > 0.5 else Label.LEGITIMATE
        confidence = max(fraud, 1 - fraud)
        said = (
            f"weighed by their record and with the models, it is {likelier} with probability {confidence:.2f}"
        )
        if confidence < policy.min_confidence or not sides[likelier]:
            return DroppedLabel(content.digest, "doubtful", n_votes, said)
        label = likelier
        reasons.append(said)
    weight, reason = _weight(sides[label], policy, agreement)
    if weight <= 0:
        return DroppedLabel(content.digest, "nobody agrees with its reporters", n_votes, reason)
    known_at = max(vote.recorded_at for vote in sides[label])
    return _label(case, label, weight, (*reasons, reason), known_at)


def _weight(
    supporters: Sequence[FlagEvent], policy: TrustPolicy, agreement: Mapping[str, float]
) -> tuple[float, str]:
    records = [agreement.get(vote.flag.reporter) for vote in supporters]
    n_trusted = sum(record is None or record >= policy.min_agreement for record in records)
    if n_trusted >= policy.quorum:
        return (
            policy.quorum_weight,
            f"a quorum of {policy.quorum} is reached: weight {policy.quorum_weight:g}",
        )
    known = sum(1.0 if record is None else record for record in records) / len(records)
    weight = policy.lone_weight * known
    text = f"{n_trusted} of the {policy.quorum} reporters of a quorum, and no review: weight {weight:.3g}"
    if any(record is not None for record in records):
        text += f" (they agree with others in {known:.0%} of cases)"
    return weight, text


def _label(
    case: _Case, label: Label, weight: float, reasons: tuple[str, ...], known_at: datetime
) -> ResolvedLabel:
    shown = case.content.shown
    supporters = {vote.flag.reporter for vote in case.votes if vote.flag.label is label}
    if case.accepted is not None:
        supporters.add(case.accepted.flag.reporter)
    return ResolvedLabel(
        content_digest=case.content.digest,
        prediction=min(shown, key=lambda item: (item.recorded_at, item.event_id)).prediction,
        label=label,
        weight=weight,
        n_votes=len(case.content.latest),
        known_at=known_at,
        prediction_ids=tuple(sorted(item.event_id for item in shown)),
        reporters=tuple(sorted(supporters)),
        reviewed=case.accepted is not None,
        reasons=reasons,
        asked=any(_answers_the_lot(item, label) for item in shown),
    )


def _answers_the_lot(shown: PredictionEvent, label: Label) -> bool:
    """Return whether a label answers the lot, and not so that monitoring would want a second opinion."""
    chance = shown.audit_probability
    if shown.audit_asked is not True or not chance:  # a lot without its chance is none
        return False
    return claim_stands_for(shown.prediction, label, asked=True, chance=chance) is None
