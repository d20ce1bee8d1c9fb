"""What retrainings of integration tests share."""

from functools import partial

import pytest

from fraud.retraining import steps


@pytest.fixture
def fewer_parity_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare a challenger's packed models on fewer rows: a fifth of a small retraining's time goes there.

    The 100,000 rows of a release are compared where tests/unit/test_cli.py trains one, and in every
    retraining that a test starts as a process of its own.
    """
    monkeypatch.setattr(steps, "write_bundle", partial(steps.write_bundle, parity_rows=5_000))
