"""The gate's sentences, in the languages of the demo."""

from collections.abc import Mapping
from typing import Any

from fraud.retraining.gate import Check

LANGUAGES = ("en", "pt-BR")

_EN = {
    "evidence": "insufficient evidence: {n} frauds in the held-out window, {needed} needed; widen the "
    "evaluation window",
    "evidence_ok": "{n} frauds in the held-out window, {needed} needed",
    "margin": "{name} changes by {value:+.4f} [{low:+.4f}, {high:+.4f}]: it may lose more than the margin of "
    "{margin:g}",
    "margin_ok": "{name} changes by {value:+.4f} [{low:+.4f}, {high:+.4f}], within the margin of {margin:g}",
    "improved": "; improved",
    "ap": "average precision",
    "f1": "F1",
    "slice_recall": "recall where {slice} falls from {champion:.3f} to {challenger:.3f} ({n} frauds; "
    "the slice's own margin is {margin:.3f}, p = {p:.4f} over all slices); look at the flags of that slice "
    "before you train again",
    "slice_false_alarms": "false alarms where {slice} rise from {champion:.0f} to {challenger:.0f} (a rise "
    "beyond {margin:.0f} is not chance, p = {p:.4f} over all slices); look at the flags of that slice before "
    "you train again",
    "slices_ok": "none of {n} slices lost more than its own margin ({n_too_small} slices have fewer than "
    "{needed} frauds: of their recall nothing can be said)",
    "calibration": "probabilities are off by {error:.2f} of the fraud rate, and {limit:.2f} is "
    "allowed; check "
    "the calibration window",
    "calibration_ok": "probabilities are off by {error:.2f} of the fraud rate, {limit:.2f} is allowed",
    "latency": "one transaction takes {ms:.3f} ms, the champion {champion:.3f} ms, and {limit:.3f} ms is "
    "allowed; use fewer or smaller trees",
    "latency_ok": "one transaction takes {ms:.3f} ms, {limit:.3f} ms is allowed",
    "alerts": "{alerts:.1f} alerts a day, and {limit:.1f} are allowed (the reviewers' budget is {budget:g})",
    "alerts_ok": "{alerts:.1f} alerts a day, {limit:.1f} are allowed",
    "size": "the release has {bytes:,.0f} bytes, and {limit:,} are allowed; use fewer or smaller trees",
    "size_ok": "the release has {bytes:,.0f} bytes, {limit:,} are allowed",
    "schema": "clients would notice: {changes}; release it as a new major version",
    "schema_ok": "fields and label meaning are the champion's",
    "gold": "this held-out window has judged {uses} times and its budget is {budget}: what passes may have "
    "learnt the window; bring later data and run `python -m fraud gold --test-start DATE --data FILE`",
    "gold_ok": "use {uses} of {budget} of this held-out window",
}
_PT = {
    "evidence": "evidência insuficiente: {n} fraudes na janela reservada, são necessárias {needed}; amplie a "
    "janela de avaliação",
    "evidence_ok": "{n} fraudes na janela reservada, {needed} necessárias",
    "margin": "{name} muda {value:+.4f} [{low:+.4f}, {high:+.4f}]: pode perder mais que a margem de "
    "{margin:g}",
    "margin_ok": "{name} muda {value:+.4f} [{low:+.4f}, {high:+.4f}], dentro da margem de {margin:g}",
    "improved": "; melhorou",
    "ap": "precisão média",
    "f1": "F1",
    "slice_recall": "o recall onde {slice} cai de {champion:.3f} para {challenger:.3f} ({n} fraudes; a "
    "margem própria do segmento é {margin:.3f}, p = {p:.4f} sobre todos os segmentos); examine as marcações "
    "desse segmento antes de treinar de novo",
    "slice_false_alarms": "os alarmes falsos onde {slice} sobem de {champion:.0f} para {challenger:.0f} (uma "
    "alta acima de {margin:.0f} não é acaso, p = {p:.4f} sobre todos os segmentos); examine as "
    "marcações desse "
    "segmento antes de treinar de novo",
    "slices_ok": "nenhum de {n} segmentos perdeu mais que a própria margem ({n_too_small} segmentos "
    "têm menos "
    "de {needed} fraudes: nada se pode dizer do recall deles)",
    "calibration": "as probabilidades erram em {error:.2f} da taxa de fraude, e {limit:.2f} é permitido; "
    "verifique a janela de calibração",
    "calibration_ok": "as probabilidades erram em {error:.2f} da taxa de fraude, {limit:.2f} é permitido",
    "latency": "uma transação leva {ms:.3f} ms, no campeão {champion:.3f} ms, e {limit:.3f} ms é permitido; "
    "use menos árvores ou árvores menores",
    "latency_ok": "uma transação leva {ms:.3f} ms, {limit:.3f} ms é permitido",
    "alerts": "{alerts:.1f} alertas por dia, e {limit:.1f} são permitidos (o orçamento dos revisores é "
    "{budget:g})",
    "alerts_ok": "{alerts:.1f} alertas por dia, {limit:.1f} são permitidos",
    "size": "a versão tem {bytes:,.0f} bytes, e {limit:,} são permitidos; use menos árvores ou "
    "árvores menores",
    "size_ok": "a versão tem {bytes:,.0f} bytes, {limit:,} são permitidos",
    "schema": "os clientes notariam: {changes}; publique como nova versão maior",
    "schema_ok": "campos e significado do rótulo são os do campeão",
    "gold": "esta janela reservada já julgou {uses} vezes e o orçamento é {budget}: o que passa pode ter "
    "aprendido a janela; traga dados mais recentes e rode `python -m fraud gold --test-start DATA --data "
    "ARQUIVO`",
    "gold_ok": "uso {uses} de {budget} desta janela reservada",
}
_TEXTS: Mapping[str, Mapping[str, str]] = {"en": _EN, "pt-BR": _PT}


def sentence(check: Check, language: str = "en") -> str:
    """Return a check in words, its model first."""
    texts = _TEXTS[language]
    params: dict[str, Any] = dict(check.params)
    if check.code == "margin":
        bounds = {k: (float("nan") if params[k] is None else params[k]) for k in ("low", "high")}
        params |= bounds | {"name": texts[params["metric"]]}
    text = texts[f"{check.code}_ok" if check.passed else check.code].format(**params)
    if check.passed and params.get("improved"):
        text += texts["improved"]
    return f"{check.model}: {text}" if check.model else text


def report_texts(language: str) -> Mapping[str, str]:
    """Return the words of the report's page."""
    return _PAGE[language]


_PAGE_EN = {
    "title": "Gate: challenger {challenger} against champion {champion}",
    "lead": "Run {run}, judged at {at}.",
    "passed": "Passed: the challenger may be promoted.",
    "refused": "Refused: the champion stays. Nothing was released.",
    "why": "Why",
    "window": "Held-out window: {words}. No flag inside it is ever trained on.",
    "labels": "Trained with {n} labels from feedback, dataset revision {revision}.",
    "figures": "Overall",
    "figures_caption": "Both models of each version on the same held-out transactions; 95% intervals",
    "model": "Model",
    "figure": "Figure",
    "champion": "Champion",
    "challenger": "Challenger",
    "change": "Change",
    "ap": "Average precision",
    "f1": "F1",
    "calibration_error": "Calibration error / fraud rate",
    "latency": "One transaction, p50",
    "alerts_per_day": "Alerts a day",
    "own_cut_offs": "Alerts, F1 and slices are at the cut-offs that each version serves with.",
    "equal_alerts": "Alerts, F1 and slices are at as many alerts for both versions: at the cut-offs that "
    "costs and the alert budget set on this window's own traffic. The challenger will serve at those of the "
    "newest traffic.",
    "mcnemar": "Only this one is right (McNemar)",
    "mcnemar_note": "McNemar's test is reported and judges nothing: with few frauds it mostly counts "
    "false alarms.",
    "slices": "Slices",
    "slices_note": "{n} questions were asked of the slices, the {shown} nearest to a refusal are "
    "shown; a version "
    "that is the champion's equal fails any of them in at most {alpha:.0%} of all runs. {small} "
    "slices have fewer "
    "than {needed} frauds, and of their recall nothing can be said.",
    "slices_caption": "Recall and false alarms where an attack would show",
    "slice": "Slice",
    "what": "Of what",
    "n": "n",
    "own_margin": "Own margin",
    "p": "p, all slices",
    "finding": "Finding",
    "recall": "recall",
    "false_alarms": "false alarms",
    "harmed": "worse",
    "unharmed": "not worse",
    "all_checks": "All rules",
    "checks_caption": "Every rule and what it came to",
    "answer": "Answer",
    "rule": "Rule",
    "pass": "pass",
    "refuse": "refuse",
}
_PAGE_PT = {
    "title": "Portão: desafiante {challenger} contra campeão {champion}",
    "lead": "Execução {run}, julgada em {at}.",
    "passed": "Aprovado: o desafiante pode ser promovido.",
    "refused": "Recusado: o campeão fica. Nada foi publicado.",
    "why": "Por quê",
    "window": "Janela reservada: {words}. Nenhuma marcação dentro dela entra no treino.",
    "labels": "Treinado com {n} rótulos de feedback, revisão {revision} do conjunto de dados.",
    "figures": "No conjunto",
    "figures_caption": "Ambos os modelos de cada versão nas mesmas transações reservadas; intervalos de 95%",
    "model": "Modelo",
    "figure": "Medida",
    "champion": "Campeão",
    "challenger": "Desafiante",
    "change": "Mudança",
    "ap": "Precisão média",
    "f1": "F1",
    "calibration_error": "Erro de calibração / taxa de fraude",
    "latency": "Uma transação, p50",
    "alerts_per_day": "Alertas por dia",
    "own_cut_offs": "Alertas, F1 e segmentos valem nos cortes com que cada versão atende.",
    "equal_alerts": "Alertas, F1 e segmentos valem com o mesmo número de alertas para as duas versões: nos "
    "cortes que os custos e o orçamento de alertas dão no tráfego desta janela. O desafiante atenderá com "
    "os do tráfego mais novo.",
    "mcnemar": "Só este acerta (McNemar)",
    "mcnemar_note": "O teste de McNemar é informado e não julga: com poucas fraudes, conta sobretudo "
    "alarmes falsos.",
    "slices": "Segmentos",
    "slices_note": "{n} perguntas foram feitas aos segmentos, as {shown} mais próximas de uma recusa "
    "aparecem aqui; "
    "uma versão igual ao campeão falha em alguma delas em no máximo {alpha:.0%} das execuções. "
    "{small} segmentos têm "
    "menos de {needed} fraudes, e do recall deles nada se pode dizer.",
    "slices_caption": "Recall e alarmes falsos onde um ataque apareceria",
    "slice": "Segmento",
    "what": "De quê",
    "n": "n",
    "own_margin": "Margem própria",
    "p": "p, todos",
    "finding": "Resultado",
    "recall": "recall",
    "false_alarms": "alarmes falsos",
    "harmed": "pior",
    "unharmed": "não pior",
    "all_checks": "Todas as regras",
    "checks_caption": "Cada regra e o seu resultado",
    "answer": "Resposta",
    "rule": "Regra",
    "pass": "aprova",
    "refuse": "recusa",
}
_PAGE: Mapping[str, Mapping[str, str]] = {"en": _PAGE_EN, "pt-BR": _PAGE_PT}
