"""The texts of the Compare tab's moving part, in English and Brazilian Portuguese side by side."""

from collections.abc import Mapping

COMPARE_TEXTS: Mapping[str, tuple[str, str]] = {
    "compare_title": (
        "Where should an alert begin?",
        "Onde deve começar um alerta?",
    ),
    "compare_lead": (
        "Move the cut-off: both models answer at once, on {n} transactions they were not trained on, "
        "{frauds} of them fraud.",
        "Mova o corte: os dois modelos respondem na hora, em {n} transações fora do treino, das quais "
        "{frauds} são fraude.",
    ),
    "compare_by": ("Set both models by", "Ajustar os dois modelos por"),
    "compare_by_probability": ("the same probability", "a mesma probabilidade"),
    "compare_by_alerts": ("the same alerts per day", "os mesmos alertas por dia"),
    "compare_by_alerts_undated": (
        "the same alerts per 1,000 transactions",
        "os mesmos alertas por 1.000 transações",
    ),
    "compare_slider": ("Cut-off", "Corte"),
    "compare_stricter": ("fewer alerts", "menos alertas"),
    "compare_looser": ("more alerts", "mais alertas"),
    "compare_released": ("Released cut-offs", "Cortes da versão"),
    "compare_serving_policy": (
        "This server decides by a policy file (FRAUD_POLICY): {cuts}.",
        "Este servidor decide por um arquivo de política (FRAUD_POLICY): {cuts}.",
    ),
    "compare_from": ("alerts from {value}", "alerta a partir de {value}"),
    "compare_caption": (
        "What becomes of frauds and of the others?",
        "O que acontece com as fraudes e com as outras?",
    ),
    "compare_alert": ("Alert", "Alerta"),
    "compare_passed": ("Approved", "Aprovada"),
    "compare_fraud": ("Fraud", "Fraude"),
    "compare_legitimate": ("Legitimate", "Legítima"),
    "compare_recall": ("Frauds caught", "Fraudes pegas"),
    "compare_precision": ("Alerts that are fraud", "Alertas que são fraude"),
    "compare_cost": ("Cost per 1,000", "Custo por 1.000"),
    "compare_daily": ("Alerts per day", "Alertas por dia"),
    "compare_daily_undated": ("Alerts per 1,000", "Alertas por 1.000"),
    "compare_pr_title": (
        "How many alerts are right for each fraud caught?",
        "Quantos alertas acertam para cada fraude pega?",
    ),
    "compare_pr_x": ("frauds caught", "fraudes pegas"),
    "compare_pr_y": ("alerts that are fraud", "alertas que são fraude"),
    "compare_cost_title": (
        "Which cut-off is cheapest?",
        "Qual corte é o mais barato?",
    ),
    "compare_cost_y": ("{currency} per 1,000 transactions", "{currency} por 1.000 transações"),
    "compare_cost_x_probability": ("cut-off, strictest left", "corte, mais rigoroso à esquerda"),
    "compare_cost_x_alerts": ("alerts, fewest left", "alertas, menos à esquerda"),
    "compare_differ_title": (
        "Where the models differ, who is right?",
        "Onde os modelos discordam, quem acerta?",
    ),
    "compare_only": ("Only {model} alerts", "Só {model} alerta"),
    "compare_both": ("Both alert", "Os dois alertam"),
    "compare_neither": ("Neither alerts", "Nenhum alerta"),
    "compare_n": ("Transactions", "Transações"),
    "compare_n_frauds": ("Frauds", "Fraudes"),
    "compare_share": ("Share fraud", "Parcela de fraude"),
    "compare_export_title": ("Keep these cut-offs?", "Guardar estes cortes?"),
    "compare_export_lead": (
        "The policy file holds both cut-offs, the version they belong to and what is expected of them, with "
        "95% intervals. Start the demo with FRAUD_POLICY=policy.json to decide by it; another version "
        "refuses it.",
        "O arquivo de política traz os dois cortes, a versão a que pertencem e o que se espera deles, com "
        "intervalos de 95%. Inicie a demo com FRAUD_POLICY=policy.json para decidir por ele; outra versão "
        "o recusa.",
    ),
    "compare_export": ("Make the policy file", "Gerar o arquivo de política"),
    "compare_download": ("Download policy.json", "Baixar policy.json"),
    "compare_expected": (
        "{model} from {cut}: catches {recall} of frauds ({recall_low} to {recall_high}); {precision} of its "
        "alerts are fraud ({precision_low} to {precision_high}).",
        "{model} a partir de {cut}: pega {recall} das fraudes ({recall_low} a {recall_high}); {precision} "
        "dos alertas são fraude ({precision_low} a {precision_high}).",
    ),
    "compare_export_refused": (
        "These cut-offs cannot be used; move the slider and try again.",
        "Estes cortes não podem ser usados; mova o controle e tente de novo.",
    ),
}
