"""The texts of the Monitoring tab, in English and Brazilian Portuguese side by side.

What a run found is put into words by `fraud.monitoring.words`; here stands what the page adds to it.
"""

from collections.abc import Mapping

MONITORING_TEXTS: Mapping[str, tuple[str, str]] = {
    "tab_monitoring": ("Monitoring", "Monitoramento"),
    "monitoring_title": ("How the models are doing", "Como estão os modelos"),
    "monitoring_lead": (
        "What the newest monitoring run found, from logged predictions and the labels known by then.",
        "O que a última execução do monitoramento encontrou, nas previsões registradas e nos rótulos já "
        "conhecidos.",
    ),
    "monitoring_example": (
        "Simulated production, an example: your own history replaces it after the first {command}. A new "
        "kind of fraud begins on its day 30.",
        "Produção simulada, um exemplo: seu próprio histórico o substitui após o primeiro {command}. Um novo "
        "tipo de fraude começa no dia 30.",
    ),
    "monitoring_simulated": (
        "Simulated production that you played: no figure here is of a real customer. For your own history, "
        "start the demo without FRAUD_MONITORING_DIR.",
        "Produção simulada que você executou: nenhum número aqui é de um cliente real. Para o seu próprio "
        "histórico, inicie a demonstração sem FRAUD_MONITORING_DIR.",
    ),
    "monitoring_empty": ("Nobody has looked yet", "Ninguém olhou ainda"),
    "monitoring_empty_says": (
        "There is no monitoring run to show. A run reads the predictions that were kept with consent and the "
        "answers to them; it takes seconds, and this page shows it without a restart.",
        "Não há execução de monitoramento para mostrar. Uma execução lê as previsões guardadas com "
        "consentimento e as respostas a elas; leva segundos, e esta página a mostra sem reiniciar.",
    ),
    "monitoring_empty_run": ("Look at the last seven days", "Olhar os últimos sete dias"),
    "monitoring_empty_play": ("Or practise on a simulated production", "Ou praticar numa produção simulada"),
    "monitoring_unreadable": (
        "What a run left cannot be shown",
        "O que uma execução deixou não pode ser mostrado",
    ),
    "monitoring_looked": (
        "Looked at version {version}, predictions of {start} to {end} UTC; labels of those made {first} to "
        "{last}.",
        "Olhou a versão {version}, previsões de {start} a {end} UTC; rótulos das feitas de {first} a {last}.",
    ),
    "monitoring_late": (
        "This run looked back: a window that ended {newest} UTC has been looked at before.",
        "Esta execução olhou para trás: já foi vista uma janela que terminou em {newest} UTC.",
    ),
    "monitoring_other_version": (
        "Version {serving} serves now; this run looked at {version}.",
        "Agora serve a versão {serving}; esta execução olhou a {version}.",
    ),
    "monitoring_firing_since": ("firing since {since}", "ativo desde {since}"),
    "monitoring_pending_since": ("pending since {since}", "pendente desde {since}"),
    "monitoring_unknown": ("could not be judged this time", "não pôde ser julgado desta vez"),
    "monitoring_segments": (
        "{n} alerts on parts of the traffic",
        "{n} alertas em partes do tráfego",
    ),
    "monitoring_segments_one": ("One alert on a part of the traffic", "Um alerta numa parte do tráfego"),
    "monitoring_missing": ("What is missing", "O que falta"),
    "monitoring_next": ("What to do next", "O que fazer agora"),
    "next_model": (
        "See which frauds are missed in the Review tab, then build a challenger from the labels: {retrain}. "
        "The gate promotes it only if it is better.",
        "Veja na aba Revisão quais fraudes escapam e crie um desafiante com os rótulos: {retrain}. O portão "
        "só o promove se for melhor.",
    ),
    "next_input": (
        "Look below at how the column changed. A value that is missing, stuck or in another unit is a fault "
        "of the system that supplies it: mend it there. If customers have changed, retrain: {retrain}.",
        "Veja abaixo como a coluna mudou. Um valor ausente, travado ou em outra unidade é falha do sistema "
        "que o fornece: conserte lá. Se os clientes mudaram, treine de novo: {retrain}.",
    ),
    "next_segment": (
        "Open the parts of the traffic below: if one is far worse than the rest, review its alerts by hand "
        "until a new version serves.",
        "Abra abaixo as partes do tráfego: se uma está muito pior que o resto, revise seus alertas à mão até "
        "que uma nova versão sirva.",
    ),
    "next_evidence": (
        "Gather more labels: raise FRAUD_AUDIT_SHARE, decide in the Review tab, or look at a longer window: "
        "{longer}.",
        "Reúna mais rótulos: aumente FRAUD_AUDIT_SHARE, decida na aba Revisão ou olhe uma janela maior: "
        "{longer}.",
    ),
    "next_healthy": (
        "Nothing. The next scheduled run will tell if that changes.",
        "Nada. A próxima execução agendada dirá se isso mudar.",
    ),
    "tile_f1": ("F1 of {model}", "F1 do {model}"),
    "tile_f1_detail": ("{interval}; held-out {held_out}", "{interval}; nos testes {held_out}"),
    "tile_drift": ("Columns that drifted", "Colunas que mudaram"),
    "tile_of": ("of {n} compared", "de {n} comparadas"),
    "tile_none_compared": ("none could be compared", "nenhuma pôde ser comparada"),
    "tile_answers": ("Answers by lot", "Respostas por sorteio"),
    "tile_answers_detail": ("of {asked} asked; {frauds} frauds", "de {asked} perguntas; {frauds} fraudes"),
    "tile_latency": ("Time to score (p95)", "Tempo de pontuar (p95)"),
    "tile_latency_detail": ("{rate} predictions a day", "{rate} previsões por dia"),
    "tile_none": ("not known", "não se sabe"),
    "legend_realised": ("realised, with 95% band", "realizado, com faixa de 95%"),
    "legend_estimated": ("estimated from scores", "estimado pelas pontuações"),
    "legend_held_out": ("held-out", "nos dados de teste"),
    "legend_version": ("from here, this version", "daqui em diante, esta versão"),
    "legend_drifted": ("drifted", "mudou"),
    "legend_as_before": ("as before", "como antes"),
    "legend_promise": ("score meant on held-out data", "significado nos dados de teste"),
    "legend_share": ("share of frauds, 95% limits", "parte de fraudes, limites de 95%"),
    "legend_equal": ("share equals score", "parte igual à pontuação"),
    "f1_none": (
        "No run could tell F1 yet: it takes answers to predictions that were drawn by lot, and their label "
        "delay to pass.",
        "Nenhuma execução pôde dizer o F1: são precisas respostas a previsões sorteadas e que passe o prazo "
        "dos rótulos.",
    ),
    "figures_question": ("What do the figures say of each model?", "O que dizem os números de cada modelo?"),
    "figures_realised_help": (
        "Realised: from predictions drawn by lot, weighted, with 95% limits. Answers: those it rests on.",
        "Realizado: de previsões sorteadas, ponderado, com limites de 95%. Respostas: as que o sustentam.",
    ),
    "column_answers_frauds": ("Answers (frauds)", "Respostas (fraudes)"),
    "drift_all": ("All {n} columns as a table", "Todas as {n} colunas em tabela"),
    "curve_choose": ("How did this column change?", "Como mudou esta coluna?"),
    "curve_help": ("Those that moved most come first.", "As que mais mudaram vêm primeiro."),
    "calibration_title": (
        "Does a score of {model} mean what it says?",
        "Uma pontuação do {model} significa o que diz?",
    ),
    "calibration_none": (
        "Too few answers to compare scores with outcomes, and no held-out reference either.",
        "Respostas de menos para comparar pontuações com resultados, e também nenhuma referência de teste.",
    ),
    "calibration_table": ("The same as a table", "O mesmo em tabela"),
    "segments_none": (
        "None of {n} parts of the traffic holds enough answered frauds to be judged by itself.",
        "Nenhuma de {n} partes do tráfego tem fraudes respondidas suficientes para ser julgada sozinha.",
    ),
    "segments_rest": ("{n} more, not as bad", "Mais {n}, menos ruins"),
    "latency_none": (
        "The log holds no time of scoring yet.",
        "O registro ainda não tem tempos de pontuação.",
    ),
    "error_monitoring_damaged": (
        "{path} is damaged or not of this program; move it away and run python -m fraud monitor.",
        "{path} está danificado ou não é deste programa; mova-o e execute python -m fraud monitor.",
    ),
    "error_monitoring_version": (
        "{path} was written by another version of this program; run python -m fraud monitor with this one.",
        "{path} foi escrito por outra versão deste programa; execute python -m fraud monitor com esta.",
    ),
    "error_monitoring_gone": (
        "{path} is gone; run python -m fraud monitor without --out to have it again.",
        "{path} sumiu; execute python -m fraud monitor sem --out para tê-lo de novo.",
    ),
}
