"""Every sentence that monitoring says, in English and Brazilian Portuguese side by side, by its code."""

from collections.abc import Mapping

WORDS: Mapping[str, tuple[str, str]] = {
    # States
    "healthy": ("Healthy", "Saudável"),
    "alert": ("Alert", "Alerta"),
    "insufficient_evidence": ("Insufficient evidence", "Evidência insuficiente"),
    "healthy_says": (
        "F1 of both models could be judged and is not shown to have dropped; no input has drifted.",
        "O F1 dos dois modelos pôde ser julgado e não se mostrou em queda; nenhuma entrada mudou.",
    ),
    "alert_says": ("{n} alerts are firing.", "{n} alertas estão ativos."),
    "alert_says_one": ("One alert is firing.", "Um alerta está ativo."),
    "pending_says": (
        "{n} things look wrong and have not lasted long enough to be alerts: not healthy, not certain.",
        "{n} coisas parecem erradas e não duraram o bastante para virar alertas: nem saudável, nem certo.",
    ),
    "pending_says_one": (
        "One thing looks wrong and has not lasted long enough to be an alert: not healthy, not certain.",
        "Uma coisa parece errada e ainda não durou o bastante para virar alerta: nem saudável, nem certo.",
    ),
    "insufficient_says": (
        "Nothing is known to be wrong, and too little is known to call it healthy.",
        "Não se sabe de nada errado, e sabe-se pouco demais para dizer que está saudável.",
    ),
    "firing": ("firing", "ativo"),
    "pending": ("pending", "pendente"),
    "drift": ("drift", "mudança"),
    "ok": ("as before", "como antes"),
    "insufficient evidence": ("insufficient evidence", "evidência insuficiente"),
    "segments_firing": (
        "Alerts on {n} parts of the traffic, listed below.",
        "Alertas em {n} partes do tráfego, listados abaixo.",
    ),
    "segments_firing_one": (
        "An alert on one part of the traffic, listed below.",
        "Um alerta em uma parte do tráfego, listado abaixo.",
    ),
    "simulated": (
        "Simulated production: these figures are of no real customer.",
        "Produção simulada: estes números não são de nenhum cliente real.",
    ),
    "report_written": ("wrote the report to {where}", "relatório gravado em {where}"),
    "report_repeated": (
        "nothing is new since the same window was judged; its report is in {where}",
        "nada de novo desde que a mesma janela foi julgada; o relatório está em {where}",
    ),
    # What answers rest on
    "answers_rest_on": (
        "Of {n} answers, {n_lone} rest on one opinion, {n_confirmed} on a second one that agrees, and a "
        "maintainer overturned {n_overturned}. Up to {error} of answers are taken to be wrong.",
        "De {n} respostas, {n_lone} se apoiam em uma só opinião, {n_confirmed} em uma segunda que concorda, "
        "e a revisão reverteu {n_overturned}. Supõe-se que até {error} das respostas estejam erradas.",
    ),
    "answers_error_found": (
        "Second opinions found {found} of them wrong ({low} to {high}).",
        "Segundas opiniões acharam {found} delas erradas ({low} a {high}).",
    ),
    "answers_awaiting_one": (
        "One claim of a missed fraud speaks for many predictions and waits for a second opinion in the "
        "Review tab. Until then no alarm counts it, and the limits of F1 hold whether it is true or not.",
        "Um aviso de fraude perdida fala por muitas previsões e espera uma segunda opinião na aba Revisão. "
        "Até lá nenhum alarme o conta, e os limites do F1 valem seja ele verdadeiro ou não.",
    ),
    "answers_awaiting": (
        "{n} claims of missed frauds speak for many predictions and wait for a second opinion in the Review "
        "tab. Until then no alarm counts them, and the limits of F1 hold whether they are true or not.",
        "{n} avisos de fraudes perdidas falam por muitas previsões e esperam uma segunda opinião na aba "
        "Revisão. Até lá nenhum alarme os conta, e os limites do F1 valem sejam eles verdadeiros ou não.",
    ),
    # Why performance is judged as it is
    "no_mature_predictions": (
        "No prediction of the window is old enough for its label to be known. Wait for the label delay to "
        "pass, or choose a longer window.",
        "Nenhuma previsão da janela tem idade para que seu rótulo seja conhecido. Espere o prazo dos rótulos "
        "ou escolha uma janela maior.",
    ),
    "no_answers": (
        "None of the {n_asked} predictions drawn for the audit sample has an answer yet. Answers come from "
        "people who are asked, and from reviews.",
        "Nenhuma das {n_asked} previsões sorteadas para a auditoria tem resposta ainda. As respostas vêm de "
        "quem é perguntado e das revisões.",
    ),
    "few_answers": (
        "The audit sample has {found} answers; {needed} are needed. Raise FRAUD_AUDIT_SHARE or widen the "
        "window.",
        "A auditoria tem {found} respostas; são necessárias {needed}. Aumente FRAUD_AUDIT_SHARE ou a janela.",
    ),
    "few_frauds": (
        "The audit sample holds {found} frauds; {needed} are needed for an interval that can be trusted.",
        "A auditoria contém {found} fraudes; são necessárias {needed} para um intervalo confiável.",
    ),
    "low_response": (
        "Only {found} of those who were asked answered; at least {needed} is needed, or those who answer "
        "may differ from those who do not.",
        "Só {found} dos perguntados responderam; é preciso ao menos {needed}, pois quem responde pode ser "
        "diferente de quem não responde.",
    ),
    "without_lot": (
        "On {found} of the predictions no lot was drawn; at most {needed} may be without one.",
        "Em {found} das previsões não houve sorteio; no máximo {needed} podem ficar sem.",
    ),
    "unreadable": (
        "{found} of the predictions cannot be read by the profile, and the rest may be of another kind; at "
        "most {needed} may be so. Mend the system that supplies them.",
        "{found} das previsões não podem ser lidas pelo perfil, e as demais podem ser de outro tipo; no "
        "máximo {needed} podem ser assim. Conserte o sistema que as fornece.",
    ),
    "no_estimate": (
        "The answers are too few on one side, alerts or the rest, for an estimate.",
        "Há respostas de menos de um dos lados, alertas ou demais, para uma estimativa.",
    ),
    "no_reference": (
        "This release holds no reference to compare with. Releases from `python -m fraud train` have one.",
        "Esta versão não traz referência para comparar. As versões de `python -m fraud train` trazem.",
    ),
    "f1_below_held_out": (
        "F1 is {realised} and was {held_out} on held-out data: the change of {change} [{low}, {high}] lies "
        "beyond the margin of {margin}. It rests on {n_answers} answers with {n_frauds} frauds.",
        "O F1 é {realised} e era {held_out} nos dados de teste: a mudança de {change} [{low}, {high}] passa "
        "da margem de {margin}. Baseia-se em {n_answers} respostas com {n_frauds} fraudes.",
    ),
    "f1_not_shown_below_held_out": (
        "F1 is {realised} and was {held_out} on held-out data: a change of {change} [{low}, {high}], not "
        "shown to be beyond the margin of {margin}. It rests on {n_answers} answers with {n_frauds} frauds.",
        "O F1 é {realised} e era {held_out} nos dados de teste: mudança de {change} [{low}, {high}], sem "
        "mostra de passar da margem de {margin}. Baseia-se em {n_answers} respostas com {n_frauds} fraudes.",
    ),
    "as_estimated": (
        "F1 is {realised} where the scores promise {estimated}: what a score means has not been shown to "
        "have changed.",
        "O F1 é {realised} e as pontuações prometem {estimated}: não se mostrou que o significado de uma "
        "pontuação tenha mudado.",
    ),
    "below_estimate": (
        "F1 is {realised} where the scores promise {estimated}: scores no longer mean what they meant. Look "
        "at missed frauds of a new kind, and retrain.",
        "O F1 é {realised} e as pontuações prometem {estimated}: as pontuações já não significam o mesmo. "
        "Procure fraudes perdidas de um tipo novo e treine de novo.",
    ),
    "above_estimate": (
        "F1 is {realised} where the scores promise {estimated}: the model does better than it says; its "
        "calibration has moved.",
        "O F1 é {realised} e as pontuações prometem {estimated}: o modelo acerta mais do que diz; sua "
        "calibração se deslocou.",
    ),
    # Why drift is judged as it is
    "as_before": ("No difference that chance does not explain.", "Nenhuma diferença além do acaso."),
    "distribution_changed": (
        "Its values are distributed otherwise than on held-out data (effect {effect}, least that counts "
        "{minimum}).",
        "Seus valores têm outra distribuição que nos dados de teste (efeito {effect}, mínimo que conta "
        "{minimum}).",
    ),
    "missing_changed": (
        "Another share of its values is missing (difference {effect}, least that counts {minimum}). Check "
        "the system that supplies it.",
        "Outra parte de seus valores está ausente (diferença {effect}, mínimo que conta {minimum}). "
        "Verifique o sistema que a fornece.",
    ),
    "unseen_levels": (
        "It has levels that the models have never seen (share {effect}, least that counts {minimum}).",
        "Traz níveis que os modelos nunca viram (parte {effect}, mínimo que conta {minimum}).",
    ),
    "effect_too_small": (
        "It differs, but too little to matter (effect {effect}, least that counts {minimum}).",
        "Difere, mas pouco demais para importar (efeito {effect}, mínimo que conta {minimum}).",
    ),
    "too_few_rows": (
        "The window's rows are worth {effective_rows} independent ones; {minimum} are needed.",
        "As linhas da janela valem {effective_rows} independentes; são necessárias {minimum}.",
    ),
    "nothing_to_compare": (
        "One side has no value of it.",
        "Um dos lados não tem nenhum valor.",
    ),
    "seen_in_like_period": (
        "It differs from held-out data and not from the same weeks a year ago: a season, not drift.",
        "Difere dos dados de teste e não das mesmas semanas há um ano: é sazonal, não mudança.",
    ),
    "season_compared": (
        "What differs from held-out data was compared with {n} predictions of the same weeks a year before.",
        "O que difere dos dados de teste foi comparado com {n} previsões das mesmas semanas um ano antes.",
    ),
    "season_unknown": (
        "A season cannot be told from drift yet: the log holds {n} predictions of the same weeks a year "
        "before.",
        "Ainda não se separa sazonalidade de mudança: o registro tem {n} previsões das mesmas semanas um ano "
        "antes.",
    ),
    "window_shorter_than_a_week": (
        "A window of {days} days has no typical times of day; a week is needed.",
        "Uma janela de {days} dias não tem horas típicas; é preciso uma semana.",
    ),
    "no_rows": ("The window holds no prediction.", "A janela não contém nenhuma previsão."),
    "columns_drifted": ("{n} of {of} columns have drifted.", "{n} de {of} colunas mudaram."),
    "no_column_drifted": ("None of {of} columns has drifted.", "Nenhuma de {of} colunas mudou."),
    "nothing_judged": (
        "{n_rows} predictions are too few to judge any column.",
        "{n_rows} previsões são poucas para julgar qualquer coluna.",
    ),
    "day_variation_unknown": (
        "The reference covers {days} days, too few to know how days differ.",
        "A referência cobre {days} dias, poucos para saber quanto os dias diferem.",
    ),
    "no_times": (
        "Transactions have no time, so calendars are not matched.",
        "As transações não têm hora, e os calendários não são igualados.",
    ),
    "no_entities": (
        "The profile names no card or account, so rows are taken for independent.",
        "O perfil não nomeia cartão nem conta, e as linhas são tidas por independentes.",
    ),
    "same_entities": (
        "Cards and merchants are taken to be those of the reference.",
        "Supõe-se que os cartões e estabelecimentos sejam os da referência.",
    ),
    # The domain classifier
    "no_earlier_stretch": (
        "The log holds no earlier predictions of this version to compare with.",
        "O registro não tem previsões anteriores desta versão para comparar.",
    ),
    "too_few_rows_at_the_same_hours": (
        "Both stretches share {n_earlier} predictions at the same hours; {minimum} are needed.",
        "Os dois trechos têm {n_earlier} previsões nas mesmas horas; são necessárias {minimum}.",
    ),
    "too_few_entities": (
        "Too few cards are in either stretch to tell chance from change.",
        "Há cartões de menos em cada trecho para separar acaso de mudança.",
    ),
    "too_few_days": (
        "Either stretch must cover three days.",
        "Cada trecho deve cobrir três dias.",
    ),
    "stretches_differ": (
        "A classifier tells this window from this version's first weeks (AUC {auc}, least that counts "
        "{minimum}).",
        "Um classificador distingue esta janela das primeiras semanas da versão (AUC {auc}, mínimo que conta "
        "{minimum}).",
    ),
    "stretches_alike": (
        "A classifier cannot tell this window from this version's first weeks (AUC {auc}, least that "
        "counts {minimum}).",
        "Um classificador não distingue esta janela das primeiras semanas da versão (AUC {auc}, mínimo que "
        "conta {minimum}).",
    ),
    # The report
    "report_title": ("How the fraud models are doing", "Como estão os modelos de fraude"),
    "report_lead": (
        "Version {version}, predictions from {start} to {end} (UTC).",
        "Versão {version}, previsões de {start} a {end} (UTC).",
    ),
    "performance": ("Are the models still right?", "Os modelos ainda acertam?"),
    "f1_question": ("Is F1 where it was on held-out data?", "O F1 está onde estava nos dados de teste?"),
    "f1_legend": (
        "Lines: F1 from the audit sample, with its 95% band. Dotted: what the scores alone promise. Dashed: "
        "the held-out F1 of the version that serves. Upright lines: a new version.",
        "Linhas: F1 pela auditoria, com a faixa de 95%. Pontilhado: o que só as pontuações prometem. "
        "Tracejado: o F1 de teste da versão em uso. Linhas verticais: uma nova versão.",
    ),
    "estimated_of": ("{model}, estimated", "{model}, estimado"),
    "naive_note": (
        "The naive figures take volunteered labels at face value. They are biased, because people flag "
        "mistakes; they stand here for comparison only.",
        "Os números ingênuos tomam os rótulos voluntários ao pé da letra. São enviesados, pois as pessoas "
        "avisam dos erros; estão aqui só para comparar.",
    ),
    "cbpe_note": (
        "The estimated figures need no labels and are blind to concept drift: they hold what a score means "
        "fixed. The gap between realised and estimated is what would show it.",
        "Os números estimados não precisam de rótulos e são cegos à mudança de conceito: fixam o que uma "
        "pontuação significa. É a distância entre realizado e estimado que a mostraria.",
    ),
    "inputs": ("Is what goes in as it was?", "O que entra é como era?"),
    "drift_question": ("Which inputs and scores moved most?", "Quais entradas e pontuações mais mudaram?"),
    "drift_legend": (
        "Population stability index against held-out data. Red: a difference that is there, after "
        "correction for looking at all columns, and large enough to matter.",
        "Índice de estabilidade populacional contra os dados de teste. Vermelho: uma diferença real, "
        "corrigida por se olhar todas as colunas, e grande o bastante para importar.",
    ),
    "drift_table": ("Every column, then and now", "Todas as colunas, antes e agora"),
    "curve_question": ("How did “{column}” change?", "Como mudou “{column}”?"),
    "curve_legend": (
        "Grey: held-out data at the same times of day. Red: this window.",
        "Cinza: dados de teste nas mesmas horas. Vermelho: esta janela.",
    ),
    "calibration_question": (
        "Does a score of {model} still mean what it says?",
        "Uma pontuação do {model} ainda significa o que diz?",
    ),
    "calibration_legend": (
        "Points: share of frauds among predictions near a score, from the audit sample, with 95% limits; an "
        "open one found none. Dashed: what the score meant on held-out data. Grey: both are equal.",
        "Pontos: parte de fraudes entre as previsões perto de uma pontuação, pela auditoria, com limites de "
        "95%; um vazado não achou nenhuma. Tracejado: o que os dados de teste dizem que a pontuação "
        "significa. Cinza: parte igual à pontuação.",
    ),
    "as_it_says": ("Share equals score", "Parte igual à pontuação"),
    "axis_score": ("Score", "Pontuação"),
    "axis_fraud_share": ("Share of frauds", "Parte de fraudes"),
    "band_says": (
        "Scores about {score}: {share} frauds ({low} to {high}), {answers} answers",
        "Pontuações perto de {score}: {share} de fraudes ({low} a {high}), {answers} respostas",
    ),
    "drivers": ("What sets them apart: {columns}.", "O que os distingue: {columns}."),
    "held_out": ("Held-out data", "Dados de teste"),
    "this_window": ("This window", "Esta janela"),
    "density": ("Density", "Densidade"),
    "share": ("Share", "Parte"),
    "segments": ("Is a part of the traffic worse off?", "Alguma parte do tráfego está pior?"),
    "segments_judged": (
        "{n} of {of} segments hold enough answered frauds to be judged.",
        "{n} de {of} segmentos têm fraudes respondidas suficientes para julgar.",
    ),
    "segments_table": ("Segments that could be judged", "Segmentos que puderam ser julgados"),
    "operations": ("Is it quick, and is it used?", "Está rápido, e é usado?"),
    "volume": ("{n} predictions, {rate} a day.", "{n} previsões, {rate} por dia."),
    "latency": (
        "Scoring one transaction took {p50} ms at the median, {p95} ms at the 95th and {p99} ms at the 99th "
        "percentile.",
        "Pontuar uma transação levou {p50} ms na mediana, {p95} ms no percentil 95 e {p99} ms no 99.",
    ),
    "latency_question": ("Is scoring as quick as it was?", "A pontuação está tão rápida quanto antes?"),
    "latency_legend": (
        "95th percentile of the time to score one transaction, by window.",
        "Percentil 95 do tempo de pontuar uma transação, por janela.",
    ),
    "basis": ("What this rests on", "Em que isto se baseia"),
    "basis_version": ("Model version", "Versão do modelo"),
    "basis_revision": ("Dataset revision", "Revisão do dataset"),
    "basis_window": ("Window of inputs and scores", "Janela das entradas e pontuações"),
    "basis_matured": ("Window of labelled performance", "Janela do desempenho com rótulos"),
    "basis_predictions": ("Predictions in the window", "Previsões na janela"),
    "basis_mature": ("Predictions old enough to judge", "Previsões com idade para julgar"),
    "basis_unused": (
        "Predictions in the window that the profile cannot read, left out",
        "Previsões na janela que o perfil não consegue ler, deixadas de fora",
    ),
    "estimated_now": (
        "{model}, estimated now: F1 {value} ({interval}) for {n} predictions from {start} to {end}, from "
        "their scores alone, as their labels are not known yet.",
        "{model}, estimado agora: F1 {value} ({interval}) para {n} previsões de {start} a {end}, só pelas "
        "pontuações, pois seus rótulos ainda não são conhecidos.",
    ),
    "performance_of": (
        "Realised and estimated figures are of the predictions from {start} to {end}, whose labels have had "
        "their time.",
        "Os números realizados e estimados são das previsões de {start} a {end}, cujos rótulos já tiveram "
        "seu prazo.",
    ),
    "basis_labels": ("Labels known of these", "Rótulos conhecidos destas"),
    "column_figure": ("Figure", "Número"),
    "column_value": ("Value", "Valor"),
    "column_realised": ("Realised", "Realizado"),
    "column_interval": ("95% interval", "Intervalo de 95%"),
    "column_naive": ("Naive (biased)", "Ingênuo (enviesado)"),
    "column_estimated": ("Estimated", "Estimado"),
    "column_scores": ("Mean score", "Pontuação média"),
    "column_share": ("Share of frauds", "Parte de fraudes"),
    "column_held_out": ("Held-out", "Nos testes"),
    "column_predictions": ("Predictions", "Previsões"),
    "column_answers": ("Answers", "Respostas"),
    "column_frauds": ("Frauds", "Fraudes"),
    "column_column": ("Column", "Coluna"),
    "column_verdict": ("Verdict", "Veredito"),
    "column_psi": ("PSI", "PSI"),
    "column_missing_before": ("Missing before", "Ausente antes"),
    "column_missing_now": ("Missing now", "Ausente agora"),
    "column_p_value": ("p (corrected)", "p (corrigido)"),
    "column_segment": ("Segment", "Segmento"),
    "column_model": ("Model", "Modelo"),
    # Names of checks
    "check_f1": ("F1 of {model}", "F1 do {model}"),
    "check_concept_drift": ("What scores of {model} mean", "O que as pontuações do {model} significam"),
    "check_drift": ("Input “{column}”", "Entrada “{column}”"),
    "check_score": ("Scores of {model}", "Pontuações do {model}"),
    "check_alert": ("Alert rate of {model}", "Taxa de alertas do {model}"),
    "check_disagreement": ("Disagreement of the models", "Discordância entre os modelos"),
    "check_hour": ("Time of day", "Hora do dia"),
    "check_segment": ("{model} where {segment}", "{model} onde {segment}"),
    "check_domain": ("All inputs together", "Todas as entradas juntas"),
    "other": ("other levels", "outros níveis"),
    "missing": ("missing", "ausente"),
    "below": ("below {high}", "abaixo de {high}"),
    "from": ("from {low}", "a partir de {low}"),
    "between": ("from {low} to {high}", "de {low} a {high}"),
    # Figures
    "f1": ("F1", "F1"),
    "precision": ("Precision", "Precisão"),
    "recall": ("Recall", "Recall"),
    "accuracy": ("Accuracy", "Acurácia"),
    "accuracy_never_fraud": ("Accuracy of “never fraud”", "Acurácia de “nunca é fraude”"),
    "fraud_rate": ("Fraud rate", "Taxa de fraude"),
    "alert_rate": ("Alert rate", "Taxa de alertas"),
    "auc": ("AUC", "AUC"),
    "ap": ("Average precision", "Precisão média"),
    "cost_per_1000": ("Cost per 1,000 transactions", "Custo por 1.000 transações"),
    "precision_at": ("Precision at {k}", "Precisão em {k}"),
    "card_precision_at": ("Card precision at {k}", "Precisão por cartão em {k}"),
    "card_precision_at_highest": (
        "Card precision at {k} (a card counts by its highest-scored transaction, so it is too low)",
        "Precisão por cartão em {k} (um cartão conta pela transação de maior pontuação; é baixo demais)",
    ),
}
"""Every sentence and name, by code; `{...}` are the reason's parameters."""
