"""The words of the figures, in English and Brazilian Portuguese side by side."""

from collections.abc import Mapping

WORDS: Mapping[str, tuple[str, str]] = {
    # Confusion matrix
    "confusion_title": (
        "{model} finds {recall} of the frauds; {precision} of its alerts are fraud",
        "{model} encontra {recall} das fraudes; {precision} dos alertas são fraude",
    ),
    "confusion_note": (
        "{n} held-out transactions; alert from a score of {threshold}; F1 {f1}",
        "{n} transações de teste; alerta a partir de pontuação {threshold}; F1 {f1}",
    ),
    "approve": ("the model approved", "o modelo aprovou"),
    "alert": ("the model alerted", "o modelo alertou"),
    "legitimate": ("was legitimate", "era legítima"),
    "fraud": ("was fraud", "era fraude"),
    "fraud_kind": ("Fraud", "Fraude"),
    "true_negatives": ("rightly approved", "aprovadas certas"),
    "false_positives": ("false alarms", "alarmes falsos"),
    "false_negatives": ("frauds missed", "fraudes perdidas"),
    "true_positives": ("frauds found", "fraudes encontradas"),
    "of_legitimate": ("{share} of the legitimate", "{share} das legítimas"),
    "of_frauds": ("{share} of the frauds", "{share} das fraudes"),
    # Importance
    "importance_title": (
        "{model}: what moves the score most is {feature}",
        "{model}: o que mais move a pontuação é {feature}",
    ),
    "importance_note": (
        "The {n} largest of {total} features, over {each} frauds and {each} legitimate test transactions; "
        "95% intervals; “7 d”: in the last 7 days",
        "As {n} maiores de {total} variáveis, em {each} fraudes e {each} legítimas do teste; intervalos de "
        "95%; “7 d”: nos últimos 7 dias",
    ),
    "importance_points": (
        "mean movement of the raw score (|SHAP|), percentage points",
        "movimento médio da pontuação bruta (|SHAP|), pontos percentuais",
    ),
    "importance_log_odds": (
        "mean movement of the raw score (|SHAP|), log-odds",
        "movimento médio da pontuação bruta (|SHAP|), log-chances",
    ),
    # Boosting rounds
    "rounds_title_stopped": (
        "XGBoost stops at {chosen} of {n} trees tried: later data gain nothing from more",
        "O XGBoost para em {chosen} das {n} árvores tentadas: mais não ajudam em dados posteriores",
    ),
    "rounds_title_open": (
        "XGBoost uses all {n} trees it was allowed: validation was still improving",
        "O XGBoost usa todas as {n} árvores permitidas: a validação ainda melhorava",
    ),
    "rounds_note": (
        "Trained on {train} transactions ({train_share} fraud), validated on {validation} later ones "
        "({validation_share})",
        "Treino em {train} transações ({train_share} de fraude), validação em {validation} posteriores "
        "({validation_share})",
    ),
    "rounds_note_thinned": (
        "Trained on the frauds of {train} transactions and {ratio} legitimate ones for each; validated on "
        "all {validation} later ones ({validation_share} fraud)",
        "Treino: as fraudes de {train} transações e {ratio} legítimas por fraude; validação: todas "
        "as {validation} posteriores ({validation_share} de fraude)",
    ),
    "rounds_ap": ("average precision (higher is better)", "precisão média (maior é melhor)"),
    "rounds_loss": ("log loss (lower is better)", "perda logarítmica (menor é melhor)"),
    "round": ("number of trees", "número de árvores"),
    "train": ("training", "treino"),
    "validation": ("validation", "validação"),
    "chosen": ("{n} trees chosen\nvalidation {value}", "{n} árvores escolhidas\nvalidação {value}"),
    # Precision and recall
    "pr_title": (
        "With {budget} alerts a day, {best} finds {recall} of the frauds",
        "Com {budget} alertas por dia, {best} encontra {recall} das fraudes",
    ),
    "pr_title_both": (
        "With {budget} alerts a day, both models find {recall} of the frauds",
        "Com {budget} alertas por dia, os dois modelos encontram {recall} das fraudes",
    ),
    "pr_title_plain": (
        "Precision falls as more frauds are found",
        "A precisão cai à medida que se encontram mais fraudes",
    ),
    "pr_note": (
        "{n} held-out transactions, {frauds} frauds; average precision: {aps}",
        "{n} transações de teste, {frauds} fraudes; precisão média: {aps}",
    ),
    "recall": ("share of frauds found (recall)", "fraudes encontradas (recall)"),
    "precision": ("share of alerts that are fraud (precision)", "alertas que são fraude (precisão)"),
    "budget_mark": ("alert budget, {n} a day", "limite de {n} alertas por dia"),
    "threshold_mark": ("cut-off in use", "corte em uso"),
    # Cost
    "cost_title": (
        "The cut-offs in use cost {extra} more than the cheapest ones would have",
        "Os cortes em uso custam {extra} a mais do que os mais baratos teriam custado",
    ),
    "cost_note": (
        "Reviews paid plus frauds missed, {currency} per 1,000 test transactions; without any model {none}",
        "Revisões pagas mais fraudes perdidas, {currency} por 1.000 transações de teste; sem modelo {none}",
    ),
    "threshold_axis": (
        "cut-off: score from which an alert is raised",
        "corte: pontuação a partir da qual há alerta",
    ),
    "cost_axis": ("cost per 1,000 transactions, {currency}", "custo por 1.000 transações, {currency}"),
    "from_to": ("{low} to {high}", "{low} a {high}"),
    "distance": ("Distance from {origin} to {destination}", "Distância de {origin} a {destination}"),
    # Calibration
    "calibration_title": (
        "A score of 10% should mean 1 fraud in 10: {verdict}",
        "Pontuação de 10% deve significar 1 fraude em 10: {verdict}",
    ),
    "calibration_holds": (
        "{told} of {n} bands of scores agree within their intervals",
        "{told} de {n} faixas de pontuação concordam dentro do intervalo",
    ),
    "calibration_note": (
        "Each point is a band with as many expected frauds as the others; 95% intervals",
        "Cada ponto é uma faixa com tantas fraudes esperadas quanto as outras; intervalos de 95%",
    ),
    "as_it_says": ("as it says", "como promete"),
    "score_axis": ("score (mean of the band)", "pontuação (média da faixa)"),
    "share_axis": ("share that was fraud", "fração que era fraude"),
    # Learning curve
    "learning_title": (
        "More training data: {gain} of average precision from the last step",
        "Mais dados de treino: {gain} de precisão média no último passo",
    ),
    "learning_note": (
        "The newest training rows are kept; judged on the same later period; 95% intervals",
        "Ficam as linhas de treino mais novas; avaliação no mesmo período seguinte; intervalos de 95%",
    ),
    "rows_axis": ("training transactions", "transações de treino"),
    "ap_axis": ("average precision", "precisão média"),
    # Folds
    "folds_title": (
        "{model}: {difference} of average precision {interval} on the newest fold",
        "{model}: {difference} de precisão média {interval} na dobra mais nova",
    ),
    "folds_note": (
        "Same folds, oldest first; settings were chosen by all but the last, so only that one judges them",
        "As mesmas dobras, da mais antiga à mais nova; a escolha usou todas menos a última: só ela julga",
    ),
    "folds_note_check": (
        "Same folds, oldest first; the profile's own settings, nothing was searched",
        "As mesmas dobras, da mais antiga à mais nova; os parâmetros do perfil, sem busca",
    ),
    "fold": ("fold {n}", "dobra {n}"),
    "fold_held_back": ("fold {n} (held back)", "dobra {n} (reservada)"),
    "baseline": ("library defaults", "padrão da biblioteca"),
    "chosen_settings": ("chosen settings", "parâmetros escolhidos"),
    "prequential_title": (
        "Average precision by fold: {means}",
        "Precisão média por dobra: {means}",
    ),
    "prequential_note": (
        "Each fold trains on the past and is judged on what came next; mean ± standard deviation",
        "Cada dobra treina no passado e é avaliada no período seguinte; média ± desvio padrão",
    ),
    # What a search may claim
    "verdict": (
        "{model}: average precision {held_back} against the library's defaults {where}; over all "
        "folds {difference}. {claim} {seen}",
        "{model}: precisão média {held_back} em relação ao padrão da biblioteca {where}; em todas "
        "as dobras {difference}. {claim} {seen}",
    ),
    "newest_search": ("on the fold that the search never saw", "na dobra que a busca nunca viu"),
    "newest_profile": (
        "on the newest fold, by which this search chose nothing",
        "na dobra mais nova, pela qual esta busca nada escolheu",
    ),
    "newest_check": ("on the newest fold", "na dobra mais nova"),
    "seen_search": (
        "The settings were chosen by the other folds, so the figure over all of them flatters.",
        "Os parâmetros foram escolhidos pelas outras dobras: a cifra de todas elas é lisonjeira.",
    ),
    "seen_profile": (
        "The settings chosen are the profile's own, older than this search: it cannot know whether they were "
        "chosen on that fold.",
        "Os parâmetros escolhidos são os do próprio perfil, anteriores a esta busca: ela não sabe se foram "
        "escolhidos com essa dobra.",
    ),
    "seen_check": (
        "Nothing was searched here: whether the settings were chosen on these folds is not known.",
        "Aqui nada foi buscado: não se sabe se os parâmetros foram escolhidos com estas dobras.",
    ),
    "claim_yes": (
        "It may be called optimised: the interval of that fold lies above zero.",
        "Pode ser chamado de otimizado: o intervalo nessa dobra fica acima de zero.",
    ),
    "claim_zero": (
        "It may NOT be called optimised here: the interval of that fold holds zero.",
        "Aqui NÃO pode ser chamado de otimizado: o intervalo nessa dobra contém o zero.",
    ),
    "claim_worse": (
        "It may NOT be called optimised here: on that fold it is worse than the defaults.",
        "Aqui NÃO pode ser chamado de otimizado: nessa dobra é pior que o padrão.",
    ),
    "claim_elsewhere": (
        "It may NOT be called optimised here: over all folds it is no better than the defaults.",
        "Aqui NÃO pode ser chamado de otimizado: em todas as dobras juntas não é melhor que o padrão.",
    ),
    # Errors by group
    "errors_title": (
        "{segment}: {group} is where the most frauds are missed",
        "{segment}: {group} é onde mais fraudes escapam",
    ),
    "errors_note": (
        "95% intervals; in brackets the number of frauds, of fewer than {least} no share is told",
        "Intervalos de 95%; entre parênteses o número de fraudes, com menos de {least} não há fração",
    ),
    "too_few": ("too few to tell", "poucas para julgar"),
    "typology": ("Kind of fraud", "Tipo de fraude"),
    "hour": ("Hour of the day (UTC)", "Hora do dia (UTC)"),
    "band_below": ("below {high}", "abaixo de {high}"),
    "band_between": ("{low} to {high}", "{low} a {high}"),
    "band_above": ("{low} and above", "{low} ou mais"),
    # Disagreement
    "right_title": (
        "Where only one model alerts ({n} transactions), {model} is right in {share}",
        "Onde só um modelo alerta ({n} transações), {model} acerta em {share}",
    ),
    "right_title_even": (
        "Where only one model alerts ({n} transactions), neither is right more often",
        "Onde só um modelo alerta ({n} transações), nenhum acerta mais que o outro",
    ),
    "right_note": (
        "Share in which {first} is right, the rest {second}; 95% intervals",
        "Fração em que {first} acerta, no resto {second}; intervalos de 95%",
    ),
    "right_axis": ("share of the disagreements", "fração das divergências"),
    "among_fraud": ("it was fraud", "era fraude"),
    "among_legitimate": ("it was legitimate", "era legítima"),
    "among_all": ("all disagreements", "todas as divergências"),
    # Two importances
    "two_title": (
        "{model}: without {feature} it loses most",
        "{model}: é sem {feature} que mais se perde",
    ),
    "two_note": (
        "The {n} largest of {total} groups of features, over a weighted sample of the test; 95% intervals",
        "Os {n} maiores de {total} grupos de variáveis, em amostra ponderada do teste; intervalos de 95%",
    ),
    "two_left": ("loss of average precision when shuffled", "perda de precisão média ao embaralhar"),
    "two_right_points": ("mean |SHAP|, percentage points", "|SHAP| médio, pontos percentuais"),
    "two_right_log_odds": ("mean |SHAP|, log-odds", "|SHAP| médio, log-chances"),
    # Kinds of fraud
    "kind_card_testing": ("Card testing", "Teste de cartão"),
    "kind_lost_stolen": ("Lost or stolen", "Perda ou roubo"),
    "kind_account_takeover": ("Account takeover", "Conta invadida"),
    "kind_skimmed_merchant": ("Skimmed card", "Cartão clonado"),
    "kind_cash_out": ("Cash out", "Saque do fraudador"),
}


def say(key: str, language: str, **params: object) -> str:
    """Return one text; `params` fill its gaps. KeyError for a key that does not exist."""
    return WORDS[key][language.startswith("pt")].format(**params)
