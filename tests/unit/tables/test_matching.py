"""Guessing which column is which: by name, by meaning in two languages, by what the cells hold."""

from pathlib import Path

import pytest

from fraud.data.profile import Profile
from fraud.errors import TableError
from fraud.tables.matching import checked, guess
from fraud.tables.reading import Sheet


def sheet(cells: dict[str, str], separator: str = ",") -> Sheet:
    return Sheet(Path("x.csv"), "x.csv", "csv", tuple(cells), 1, (dict(cells),), separator)


def test_exact_names_are_matched(small_profile: Profile) -> None:
    names = {"amount": "1", "occurred_at": "2026-01-01T00:00:00", "card_id": "C1", "merchant_id": "M1"}
    assert dict(guess(sheet(names), small_profile).columns) == {name: name for name in names}


def test_other_words_in_english_and_portuguese_are_understood(small_profile: Profile) -> None:
    english = {
        "Txn ID": "T1", "Timestamp": "2026-01-01 10:00", "Cardholder account": "C1", "Store": "M1",
        "Purchase Amount": "12.50", "MCC category": "fuel", "Entry channel": "chip", "Age": "30",
        "homeLatitude": "1.5", "homeLon": "2.5",
    }  # fmt: skip
    portuguese = {
        "Código da transação": "T1", "Data/Hora": "2026-01-01 10:00", "Nº do cartão": "C1",
        "Estabelecimento": "M1", "Valor": "12,50", "Categoria": "fuel", "Canal": "chip", "País": "PT",
        "Latitude da residência": "1.5",
    }  # fmt: skip
    found = guess(sheet(english), small_profile).columns
    assert found["occurred_at"] == "Timestamp" and found["merchant_id"] == "Store"
    assert found["amount"] == "Purchase Amount" and found["transaction_id"] == "Txn ID"
    assert found["category"] == "MCC category" and found["home_lat"] == "homeLatitude"
    found = guess(sheet(portuguese, ";"), small_profile).columns
    assert found["occurred_at"] == "Data/Hora" and found["card_id"] == "Nº do cartão"
    assert found["merchant_id"] == "Estabelecimento" and found["amount"] == "Valor"
    assert found["country"] == "País" and found["home_lat"] == "Latitude da residência"
    assert guess(sheet(portuguese, ";"), small_profile).decimal_comma


def test_a_column_whose_cells_cannot_be_it_is_not_taken(small_profile: Profile) -> None:
    found = guess(sheet({"value": "blue", "date": "yesterday", "total": "9.90"}), small_profile).columns
    assert found.get("amount") == "total" and "occurred_at" not in found


def test_no_column_is_given_twice(small_profile: Profile) -> None:
    found = guess(sheet({"id": "1", "lat": "1", "lon": "2"}), small_profile).columns
    assert len(set(found.values())) == len(found)


def test_strangers_stay_unmatched(small_profile: Profile) -> None:
    assert not guess(sheet({"colour": "red", "weather": "wet"}), small_profile).columns


def test_a_choice_that_cannot_be_is_refused(small_profile: Profile) -> None:
    table = sheet({"a": "1", "b": "2", "c": "3", "d": "4"})
    with pytest.raises(TableError) as caught:
        checked({"amount": "a"}, table, small_profile)
    assert caught.value.code == "match_missing" and caught.value.field
    every = {f.column: None for f in small_profile.fields} | {
        f.column: "a" for f in small_profile.fields if f.required
    }
    every |= {"occurred_at": "b", "card_id": "c", "merchant_id": "d"}
    with pytest.raises(TableError) as caught:
        checked(every, table, small_profile)
    assert caught.value.code == "match_twice"
    with pytest.raises(TableError) as caught:
        checked(every | {"occurred_at": "gone"}, table, small_profile)
    assert caught.value.code in ("match_unknown", "match_twice")
