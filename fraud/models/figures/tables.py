"""Tables of `fraud.models.analysis` as people read them: headings and numbers in their language."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from fraud.data.profile import Profile
from fraud.formats import number, probability, signed
from fraud.models.figures.labels import group_label, level_label
from fraud.models.figures.words import WORDS, say
from fraud.models.report import MODEL_TITLES

Writer = Callable[[Any, str], str]


def _whole(value: Any, language: str) -> str:
    return number(float(value), language, 0)


def _figure(value: Any, language: str) -> str:
    return number(float(value), language, 4)


def _difference(value: Any, language: str) -> str:
    return signed(float(value), language, 4)


def _share(value: Any, language: str) -> str:
    return f"{number(100 * float(value), language, 1)}%"


def _score(value: Any, language: str) -> str:
    return probability(float(value), language)


def _light(value: Any, language: str) -> str:
    return number(float(value), language)


def _p_value(value: Any, language: str) -> str:
    return f"<{number(0.001, language, 3)}" if value < 0.001 else number(float(value), language, 3)


def _model(value: Any, language: str) -> str:
    return MODEL_TITLES.get(str(value), str(value))


def _yes(value: Any, language: str) -> str:
    return ("yes" if value else "no", "sim" if value else "não")[language.startswith("pt")]


def _words(value: Any, language: str) -> str:
    return (
        say(f"among_{value}", language)
        if f"among_{value}" in WORDS
        else _WHO.get(str(value), (value,) * 2)[language.startswith("pt")]
    )


_WHO = {
    "both": ("both alert", "os dois alertam"),
    "only_first": ("only the first", "só o primeiro"),
    "only_second": ("only the second", "só o segundo"),
    "neither": ("neither", "nenhum"),
    "ap": ("average precision", "precisão média"),
    "auc": ("AUC", "AUC"),
    "card_precision": ("card precision at k", "precisão por cartão em k"),
}
_COLUMNS: Mapping[str, tuple[str, str, Writer]] = {
    "model": ("model", "modelo", _model),
    "metric": ("metric", "métrica", _words),
    "mean": ("mean", "média", _figure),
    "sd": ("standard deviation", "desvio padrão", _figure),
    "n_folds": ("folds", "dobras", _whole),
    "fold": ("fold", "dobra", _whole),
    "held_back": ("held back", "reservada", _yes),
    "ap": ("average precision", "precisão média", _figure),
    "auc": ("AUC", "AUC", _figure),
    "card_precision": ("card precision at k", "precisão por cartão em k", _figure),
    "baseline": ("library defaults", "padrão da biblioteca", _figure),
    "optimised": ("chosen settings", "parâmetros escolhidos", _figure),
    "difference": ("difference", "diferença", _difference),
    "low": ("from", "de", _figure),
    "high": ("to", "até", _figure),
    "mean_ap": ("mean average precision", "precisão média nas dobras", _figure),
    "negatives_per_fraud": ("legitimate per fraud", "legítimas por fraude", _light),
    "n_rows": ("training transactions", "transações de treino", _whole),
    "group": ("group", "grupo", lambda value, language: str(value)),
    "n": ("transactions", "transações", _whole),
    "n_train": ("training", "treino", _whole),
    "n_calibration": ("calibration", "calibração", _whole),
    "n_judged": ("judged", "avaliação", _whole),
    "n_judged_frauds": ("of which frauds", "das quais fraudes", _whole),
    "judged_from": ("judged from", "avaliada de", lambda value, language: str(value)),
    "judged_until": ("until", "até o dia", lambda value, language: str(value)),
    "n_frauds": ("frauds", "fraudes", _whole),
    "n_alerts": ("alerts", "alertas", _whole),
    "n_missed": ("frauds missed", "fraudes perdidas", _whole),
    "n_false_alarms": ("false alarms", "alarmes falsos", _whole),
    "recall": ("found", "encontradas", _share),
    "recall_low": ("from", "de", _share),
    "recall_high": ("to", "até", _share),
    "precision": ("alerts right", "alertas certos", _share),
    "precision_low": ("from ", "de ", _share),
    "precision_high": ("to ", "até ", _share),
    "false_alarm_rate": ("false alarms", "alarmes entre legítimas", _share),
    "false_alarm_rate_low": ("from  ", "de  ", _share),
    "false_alarm_rate_high": ("to  ", "até  ", _share),
    "who": ("who alerts", "quem alerta", _words),
    "among": ("among", "entre", _words),
    "first_right": ("first is right", "primeiro acerta", _whole),
    "second_right": ("second is right", "segundo acerta", _whole),
    "share": ("share", "fração", _share),
    "p_value": ("p (McNemar)", "p (McNemar)", _p_value),
    "at": ("where", "onde", lambda value, language: str(value)),
    "threshold": ("cut-off", "corte", _score),
    "mean_score": ("mean score", "pontuação média", _score),
    "drop": ("loss of AP", "perda de precisão média", _difference),
    "drop_low": ("from", "de", _difference),
    "drop_high": ("to", "até", _difference),
    "drop_rank": ("rank", "posição", _whole),
    "size": ("mean |SHAP|", "|SHAP| médio", _figure),
    "size_low": ("from ", "de ", _figure),
    "size_high": ("to ", "até ", _figure),
    "size_rank": ("rank ", "posição ", _whole),
}


def readable(
    table: pd.DataFrame, language: str, profile: Profile | None = None, by: str | None = None
) -> pd.DataFrame:
    """Return a table as texts, its first column as the index; what is not told is a dash.

    Parameters
    ----------
    profile : names the groups: those of `by`, or groups of features
    """
    shares = "share" in table  # its limits are shares as well
    written: dict[str, list[str]] = {}
    for name in table.columns:
        english, portuguese, write = _COLUMNS.get(name, (name, name, _light_or_text))
        if shares and name in ("low", "high"):
            write = _share
        values = table[name].tolist()
        if name == "group" and profile is not None:
            values = [
                group_label(profile, str(v), language)
                if by is None
                else level_label(profile, by, str(v), language)
                for v in values
            ]
        heading = (english, portuguese)[language.startswith("pt")]
        written[heading] = ["–" if pd.isna(value) else write(value, language) for value in values]  # noqa: RUF001
    return pd.DataFrame(written).set_index(next(iter(written)))


def _light_or_text(value: Any, language: str) -> str:
    return _light(value, language) if isinstance(value, int | float) else str(value)
