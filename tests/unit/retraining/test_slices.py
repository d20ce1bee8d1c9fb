"""Slices of transactions by listed categories, and the base table's frauds in them."""

import numpy as np
import pandas as pd

from fraud.data.profile import Profile
from fraud.data.table import transactions_from_frame
from fraud.models.split import split
from fraud.retraining.slices import base_frauds, slice_names


def test_a_transaction_lies_in_each_listed_category_and_each_pair(small_profile: Profile) -> None:
    transaction = {"category": "fuel", "channel": "chip", "country": "PT"}
    names = slice_names(small_profile, transaction)
    assert names == ("category=fuel", "channel=chip", "category=fuel and channel=chip")


def test_the_base_frauds_are_those_of_the_training_rows(
    small_frame: pd.DataFrame, small_profile: Profile
) -> None:
    base = transactions_from_frame(small_frame, small_profile)
    plan = split(base, small_profile, 7)
    frauds = base_frauds(base, plan, small_profile)
    assert frauds.n == int((base.labels[plan.train] == 1).sum())
    online = np.array(base.texts["channel"].texts())[plan.train] == "online"
    assert frauds.by_slice["channel=online"] == int((base.labels[plan.train][online] == 1).sum())
    assert sum(n for name, n in frauds.by_slice.items() if " and " in name) == frauds.n
