"""What a run says of each flag: used with the label that it gave, or the reason that kept it out."""

from datetime import UTC, datetime, timedelta

from fraud.feedback.events import FlagEvent
from fraud.feedback.labels import DroppedLabel, Resolution, ResolvedLabel
from fraud.ids import new_id
from fraud.records import Flag, Label, ModelVersion, Prediction, Verdict
from fraud.retraining.feedback_rows import FeedbackRows
from fraud.retraining.uses import OUTWEIGHED, flag_uses

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def event(digest: str, label: Label = Label.FRAUD, prediction: str = "p_1", days: float = 0) -> FlagEvent:
    at = NOW + timedelta(days=days)
    flag = Flag(new_id("f"), at, prediction, Verdict.WRONG, label, "", "c", "r")
    return FlagEvent(flag.flag_id, at, "n", digest, flag)


def resolved(digest: str) -> ResolvedLabel:
    version = ModelVersion("1.0.0", None, "0" * 64)
    prediction = Prediction("p_1", NOW, "cards", {}, None, {}, version, 1.0)
    return ResolvedLabel(digest, prediction, Label.FRAUD, 0.25, 1, NOW, ("p_1",), ("r",))


def test_each_flag_gets_its_own_outcome() -> None:
    used, against, strange = event("a"), event("a", Label.LEGITIMATE), event("a", prediction="p_2")
    sealed, tied, late, unknown = event("b"), event("c"), event("a", days=1), event("d")
    resolution = Resolution((resolved("a"), resolved("b")), (DroppedLabel("c", "tied", 2),))
    rows = FeedbackRows(None, None, 1, {"b": "inside the sealed held-out window"})  # type: ignore[arg-type]
    events = [used, against, strange, sealed, tied, late, unknown]
    uses = {use.flag_id: use for use in flag_uses(events, resolution, rows, NOW)}
    assert {name: use.reason for name, use in uses.items()} == {
        used.event_id: "",
        against.event_id: OUTWEIGHED,
        strange.event_id: "no prediction",
        sealed.event_id: "inside the sealed held-out window",
        tied.event_id: "tied",
    }
    assert [uses[name.event_id].weight for name in (used, against)] == [0.25, 0.0]
    assert uses[used.event_id].content_digest == "a"
