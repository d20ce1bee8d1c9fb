"""The texts of the Versions tab, in English and Brazilian Portuguese side by side."""

from collections.abc import Mapping

VERSIONS_TEXTS: Mapping[str, tuple[str, str]] = {
    "tab_versions": ("Versions", "Versões"),
    "versions_title": ("Which version answers, and why", "Qual versão responde, e por quê"),
    "versions_lead": (
        "Every released version of the two models: how good it is, what it was trained on, who let it serve.",
        "Cada versão publicada dos dois modelos: quão boa é, com que dados foi treinada, quem a pôs em uso.",
    ),
    "versions_unreachable": (
        "The registry cannot be reached now; this is what was known last.",
        "O registro está fora de alcance agora; isto é o que se soube por último.",
    ),
    "versions_board_unreadable": (
        "What the nodes said last cannot be read now.",
        "O que os nós disseram por último não pode ser lido agora.",
    ),
    # Who serves what
    "versions_serves": ("Version {version} serves", "A versão {version} está em uso"),
    "versions_serves_since": ("since {since} UTC", "desde {since} UTC"),
    "versions_shipped": (
        "It came with the program. The registry is empty: the first retraining that passes the gate, "
        "{retrain}, or {promote} fills it.",
        "Ela veio com o programa. O registro está vazio: o primeiro treino que passa pelo portão, "
        "{retrain}, ou {promote} o preenche.",
    ),
    "versions_who_serves": ("Who serves what", "Quem serve o quê"),
    "versions_process": ("Process", "Processo"),
    "versions_version": ("Version", "Versão"),
    "versions_state": ("State", "Estado"),
    "versions_here": ("this page", "esta página"),
    "versions_no_nodes": (
        "No prediction node has reported. Nodes are listed here once they run (docs/cluster.md).",
        "Nenhum nó de previsão se apresentou. Os nós aparecem aqui quando estão em uso (docs/cluster.md).",
    ),
    "versions_state_serving": ("serves the champion", "serve o campeão"),
    "versions_state_behind": ("another version", "outra versão"),
    "versions_state_other_release": ("other files, same number", "outros arquivos, mesmo número"),
    "versions_state_rolled_back": ("went back by itself", "voltou por conta própria"),
    "versions_state_refused": ("refuses the champion", "recusa o campeão"),
    "versions_state_silent": ("silent since {seen}", "em silêncio desde {seen}"),
    # A challenger
    "versions_waiting": (
        "{version} passed the gate and waits for a maintainer",
        "{version} passou pelo portão e espera um mantenedor",
    ),
    "versions_waiting_unjudged": (
        "{version} waits for a maintainer; no gate has judged it",
        "{version} espera um mantenedor; nenhum portão a julgou",
    ),
    "versions_waiting_refused": (
        "{version} waits for a maintainer, and its gate report refuses it",
        "{version} espera um mantenedor, e o relatório do portão a recusa",
    ),
    "versions_none_waits": ("No challenger waits", "Nenhum desafiante espera"),
    "versions_none_waits_help": (
        "A retraining brings one where the new answers give a reason: {retrain}.",
        "Um treino traz um quando as novas respostas dão motivo: {retrain}.",
    ),
    "versions_paired_title": (
        "Change against {champion} on the same held-out transactions",
        "Mudança em relação à {champion} nas mesmas transações reservadas",
    ),
    "versions_shadow": ("In the shadow of {champion}", "À sombra da {champion}"),
    "versions_shadow_counts": (
        "Scored by both since {since} UTC: {n}. Left out: {dropped}. Failed: {failed}.",
        "Pontuadas por ambas desde {since} UTC: {n}. De fora: {dropped}. Falharam: {failed}.",
    ),
    "versions_shadow_none": (
        "Not compared on live traffic: FRAUD_SHADOW=1 scores each transaction with it too, unseen.",
        "Não comparada no tráfego real: FRAUD_SHADOW=1 pontua cada transação também com ela, sem mostrar.",
    ),
    "versions_shadow_empty": (
        "It scores beside the champion since {since} UTC; nothing has come in yet.",
        "Pontua ao lado do campeão desde {since} UTC; ainda não chegou nada.",
    ),
    "versions_alike": ("decided alike", "decididas igual"),
    "versions_gained": ("alerts gained", "alertas a mais"),
    "versions_lost": ("alerts lost", "alertas a menos"),
    "versions_apart": ("mean distance", "distância média"),
    # Deciding
    "versions_decide": ("Decide what serves", "Decidir o que serve"),
    "versions_locked": (
        "Maintainers promote and roll back here. The login is that of the Review tab.",
        "Mantenedores promovem e revertem aqui. O login é o da aba Revisão.",
    ),
    "versions_unset": (
        "For maintainers: set FRAUD_REVIEW_PASSWORD and start the demo again to decide here, or use "
        "python -m fraud promote | rollback | reject.",
        "Para mantenedores: defina FRAUD_REVIEW_PASSWORD e reinicie a demonstração para decidir aqui, ou use "
        "python -m fraud promote | rollback | reject.",
    ),
    "versions_approve": ("Approve {version}", "Aprovar {version}"),
    "versions_reject": ("Reject {version}", "Rejeitar {version}"),
    "versions_rollback": ("Roll back to {version}", "Reverter para {version}"),
    "versions_choose": ("Another version", "Outra versão"),
    "versions_promote_chosen": ("Promote it", "Promover"),
    "versions_nothing_to_decide": (
        "There is nothing to decide: no other version can serve.",
        "Não há o que decidir: nenhuma outra versão pode servir.",
    ),
    "versions_sure_promote": (
        "{version} becomes the champion in place of {champion}. This page scores with it at once; "
        "{champion} stays at hand for a rollback.",
        "{version} passa a ser a campeã no lugar de {champion}. Esta página pontua com ela na hora; "
        "{champion} fica à mão para uma reversão.",
    ),
    "versions_sure_rollback": (
        "{version} becomes the champion again in place of {champion}, here at once. {champion} stays "
        "recorded and can be promoted again.",
        "{version} volta a ser a campeã no lugar de {champion}, aqui na hora. {champion} continua registrada "
        "e pode ser promovida de novo.",
    ),
    "versions_sure_reject": (
        "{version} waits no more. {champion} goes on serving, {version} stays recorded and can be promoted "
        "later. Nobody is told.",
        "{version} deixa de esperar. {champion} continua em uso, {version} segue registrada e pode ser "
        "promovida depois. Ninguém é avisado.",
    ),
    "versions_unjudged": (
        "No gate has judged it: look at the comparison below first.",
        "Nenhum portão a julgou: olhe antes a comparação abaixo.",
    ),
    "versions_tells": ("Told by webhook: {names}.", "Avisados por webhook: {names}."),
    "versions_tells_nobody": (
        "No webhook is set: nodes notice by themselves when they next look at the registry.",
        "Nenhum webhook configurado: os nós percebem sozinhos na próxima consulta ao registro.",
    ),
    "versions_signed": (
        "The decision is written down with the time and a pseudonym of yours.",
        "A decisão fica registrada com a hora e um pseudônimo seu.",
    ),
    "versions_type": ("Type {version} to confirm", "Digite {version} para confirmar"),
    "versions_confirm_promote": ("Promote {version}", "Promover {version}"),
    "versions_confirm_rollback": ("Roll back to {version}", "Reverter para {version}"),
    "versions_confirm_reject": ("Reject {version}", "Rejeitar {version}"),
    "versions_cancel": ("Cancel", "Cancelar"),
    "versions_mistyped": (
        "Nothing has changed: what you typed is not {version}.",
        "Nada mudou: o que você digitou não é {version}.",
    ),
    "versions_nothing_chosen": ("Choose a version first.", "Escolha antes uma versão."),
    "versions_no_longer": (
        "That is no longer possible: what serves has changed meanwhile. Look again and decide anew.",
        "Isso não é mais possível: o que está em uso mudou nesse meio tempo. Olhe de novo e decida.",
    ),
    "versions_unchanged": ("Nothing has changed.", "Nada mudou."),
    "versions_done_promote": (
        "{version} is the champion and serves here now.",
        "{version} é a campeã e já está em uso aqui.",
    ),
    "versions_done_rollback": (
        "Rolled back: {version} serves here again.",
        "Revertido: {version} está em uso aqui de novo.",
    ),
    "versions_done_reject": ("{version} waits no more.", "{version} deixou de esperar."),
    "versions_done_told": ("Told: {names}.", "Avisados: {names}."),
    "versions_done_untold": (
        "The decision stands, but the nodes could not be told: {problem} They notice when they next look.",
        "A decisão vale, mas os nós não puderam ser avisados: {problem} Eles percebem na próxima consulta.",
    ),
    "versions_finished_first": (
        "An earlier rollback was interrupted and has been finished first: {champion} serves, and the nodes "
        "have been told. Look again before you decide anew.",
        "Uma reversão anterior tinha sido interrompida e foi concluída primeiro: {champion} está em uso e os "
        "nós foram avisados. Olhe de novo antes de decidir.",
    ),
    "versions_not_here": (
        "The decision stands, but this page still scores with {serving}: {problem}",
        "A decisão vale, mas esta página ainda pontua com {serving}: {problem}",
    ),
    # The timeline
    "versions_timeline": ("All versions, newest first", "Todas as versões, da mais nova à mais antiga"),
    "versions_timeline_help": (
        "Figures are those of each version's own held-out window, with 95% intervals.",
        "Os números são da janela de teste reservada de cada versão, com intervalos de 95%.",
    ),
    "versions_older": (
        "{n} older versions are not shown; {command} lists them.",
        "{n} versões mais antigas não aparecem; {command} as lista.",
    ),
    "versions_role_champion": ("champion", "campeã"),
    "versions_role_previous": ("previous", "anterior"),
    "versions_role_challenger": ("challenger", "desafiante"),
    "versions_made": ("trained {at} UTC", "treinada em {at} UTC"),
    "versions_did_promote": ("promoted {at} UTC by {who}", "promovida em {at} UTC por {who}"),
    "versions_did_rollback": ("rolled back to {at} UTC by {who}", "reposta em {at} UTC por {who}"),
    "versions_did_challenge": ("challenger since {at} UTC", "desafiante desde {at} UTC"),
    "versions_did_reject": ("rejected {at} UTC by {who}", "rejeitada em {at} UTC por {who}"),
    "versions_never": ("never promoted", "nunca promovida"),
    "versions_who_maintainer": ("maintainer {name}", "mantenedor {name}"),
    "versions_who_shipped": ("the first start", "primeira inicialização"),
    "versions_who_command": ("the command line on {name}", "linha de comando em {name}"),
    "versions_who_retraining": ("the retraining on {name}", "treino em {name}"),
    "versions_who_unknown": ("nobody known", "não se sabe quem"),
    "versions_metric_f1": ("F1", "F1"),
    "versions_metric_ap": ("Average precision", "Precisão média"),
    "versions_metric_precision": ("Precision", "Precisão"),
    "versions_metric_recall": ("Recall", "Recall"),
    "versions_metric_auc": ("AUC", "AUC"),
    "versions_metric_brier": ("Brier score", "Brier"),
    "versions_metric_calibration_error": ("Calibration error", "Erro de calibração"),
    "versions_metric_cost_per_1000": ("Cost per 1,000", "Custo por 1.000"),
    "versions_metric_alerts_per_day": ("Alerts a day", "Alertas por dia"),
    "versions_not_said": ("not said", "não informado"),
    "versions_data": ("Table", "Tabela"),
    "versions_feedback": ("Feedback", "Feedback"),
    "versions_base": ("{n} rows of {source}", "{n} linhas de {source}"),
    "versions_source_simulator": ("simulator", "simulador"),
    "versions_source_file": ("file", "arquivo"),
    "versions_source_directory": ("directory", "diretório"),
    "versions_no_labels": ("no labels", "nenhum rótulo"),
    "versions_labels": ("{n} labels", "{n} rótulos"),
    "versions_revision": ("revision {revision}", "revisão {revision}"),
    "versions_unused": ("{n} left out", "{n} de fora"),
    "versions_gate": ("Gate", "Portão"),
    "versions_gate_passed": ("passed", "aprovada"),
    "versions_gate_refused": ("refused", "recusada"),
    "versions_gate_none": ("not asked", "não consultado"),
    "versions_gate_none_help": (
        "It came from no retraining, so there was nothing to compare it with.",
        "Não veio de um treino periódico, então não havia com o que comparar.",
    ),
    "versions_gate_unreadable": ("unreadable", "ilegível"),
    "versions_gate_against": ("against {champion}", "contra {champion}"),
    "versions_gate_reasons": ("Why, in {n} rules", "Por quê, em {n} regras"),
    "versions_gate_open": ("Open the full report", "Abrir o relatório completo"),
    "versions_gate_of": ("of version {version}, in a new tab", "da versão {version}, em nova aba"),
    "versions_refused_run": (
        "The last retraining was refused on {at} UTC; {champion} stayed.",
        "O último treino foi recusado em {at} UTC; a {champion} ficou.",
    ),
    "versions_changed": ("What changed against {replaces}", "O que mudou em relação à {replaces}"),
    "versions_change_major": ("a major change", "mudança maior"),
    "versions_change_minor": ("a minor change", "mudança menor"),
    "versions_change_patch": ("the same recipe on other data", "a mesma receita com outros dados"),
    "versions_history": ("Decisions on it ({n})", "Decisões sobre ela ({n})"),
    "versions_unreadable": ("This version cannot be shown", "Esta versão não pode ser mostrada"),
    # Two versions side by side
    "versions_compare": ("What differs between two versions?", "O que difere entre duas versões?"),
    "versions_compare_old": ("From", "De"),
    "versions_compare_new": ("To", "Para"),
    "versions_compare_one": (
        "There is one version so far; the next one can be compared with it.",
        "Há uma só versão até agora; a próxima poderá ser comparada com ela.",
    ),
    "versions_compare_same": ("Choose two different versions.", "Escolha duas versões diferentes."),
    "versions_compare_gone": (
        "One of these versions cannot be read.",
        "Uma dessas versões não pode ser lida.",
    ),
    "versions_same_window": (
        "Both were judged on the same held-out window.",
        "Ambas foram julgadas na mesma janela de teste.",
    ),
    "versions_other_window": (
        "They were judged on different held-out windows: part of a difference may come from the data.",
        "Foram julgadas em janelas de teste diferentes: parte da diferença pode vir dos dados.",
    ),
    "versions_paired": (
        "In brackets: the gate's paired 95% interval of the change on the same transactions.",
        "Entre colchetes: o intervalo pareado de 95% da mudança, pelo portão, nas mesmas transações.",
    ),
    "versions_part_metrics": ("Figures", "Números"),
    "versions_part_thresholds": ("Cut-offs", "Pontos de corte"),
    "versions_part_parameters": ("Hyperparameters", "Hiperparâmetros"),
    "versions_part_features": ("Features", "Atributos"),
    "versions_part_recipe": ("Recipe", "Receita"),
    "versions_part_data": ("Data", "Dados"),
    "versions_part_sizes": ("Size", "Tamanho"),
    "versions_part_libraries": ("Libraries", "Bibliotecas"),
    "versions_column_what": ("What", "O quê"),
    "versions_column_change": ("Change", "Mudança"),
    "versions_all_same": ("{part}: all {n} the same", "{part}: todos os {n} iguais"),
    "versions_cut_review": ("review from", "revisar a partir de"),
    "versions_cut_decline": ("decline from", "recusar a partir de"),
    "versions_recipe_input_schema": ("the fields that clients send", "os campos que os clientes enviam"),
    "versions_recipe_label": ("the meaning of the label", "o significado do rótulo"),
    "versions_recipe_features": ("the features", "os atributos"),
    "versions_recipe_algorithm": ("the parameters of the models", "os parâmetros dos modelos"),
    "versions_recipe_changed": ("changed", "mudou"),
    "versions_added": ("added", "acrescentado"),
    "versions_removed": ("removed", "retirado"),
    "versions_data_source": ("table", "tabela"),
    "versions_data_data_digest": ("SHA-256 of the table", "SHA-256 da tabela"),
    "versions_data_n_rows": ("rows of the table", "linhas da tabela"),
    "versions_data_train_rows": ("rows trained on", "linhas de treino"),
    "versions_data_train_window": ("trained on", "treino"),
    "versions_data_calibration_rows": ("rows calibrated on", "linhas de calibração"),
    "versions_data_calibration_window": ("calibrated on", "calibração"),
    "versions_data_test_rows": ("rows held out", "linhas reservadas"),
    "versions_data_test_window": ("held out", "reservadas"),
    "versions_data_dataset_revision": ("feedback dataset, revision", "revisão do conjunto de feedback"),
    "versions_data_n_labels": ("labels from feedback", "rótulos de feedback"),
    "versions_data_seed": ("seed", "semente"),
    "versions_size_total": ("all files", "todos os arquivos"),
    "versions_size_serving": ("what serving loads", "o que é carregado para servir"),
    # Errors that a maintainer can meet here
    "error_decided_meanwhile": (
        "Somebody else decided meanwhile; look at what serves now and decide again.",
        "Outra pessoa decidiu nesse meio tempo; veja o que está em uso agora e decida de novo.",
    ),
    "error_no_version": ("There is no such version any more.", "Essa versão não existe mais."),
    "error_no_challenger": (
        "It is not the challenger any more; look at what waits now.",
        "Ela não é mais a desafiante; veja o que espera agora.",
    ),
    "error_no_previous": (
        "There is no previous version to roll back to.",
        "Não há versão anterior para a qual reverter.",
    ),
    "error_no_releases": (
        "This process does not decide about releases.",
        "Este processo não decide sobre versões.",
    ),
}
