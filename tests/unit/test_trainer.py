"""`python -m fraud trainer`: what it runs, round after round."""

import pytest

from fraud import cli, cli_cluster
from fraud.settings import read_settings


@pytest.mark.parametrize(
    ("approval", "first"),
    [
        (None, ["retrain", "--promote"]),
        ("automatic", ["retrain", "--promote"]),
        ("manual", ["retrain"]),
    ],
)
def test_a_trainer_promotes_unless_a_maintainer_is_to_say_so(
    approval: str | None, first: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "main", commands.append)
    monkeypatch.setattr(cli_cluster.time, "sleep", stop)
    options = cli._parser().parse_args(["trainer"])
    settings = read_settings({} if approval is None else {"FRAUD_APPROVAL": approval})
    with pytest.raises(KeyboardInterrupt):
        options.run(options, settings)
    assert commands == [first, ["webhooks", "send-pending"]]
