"""The texts of reviewing and of withdrawing, in English and Brazilian Portuguese side by side."""

from collections.abc import Mapping

REVIEW_TEXTS: Mapping[str, tuple[str, str]] = {
    "tab_review": ("Review", "Revisão"),
    "review_title": ("Review what people flagged", "Revisar o que as pessoas marcaram"),
    "review_unset": (
        "For maintainers: set FRAUD_REVIEW_PASSWORD to a password of at least 12 characters and start the "
        "demo again to review flags here.",
        "Para mantenedores: defina FRAUD_REVIEW_PASSWORD com uma senha de pelo menos 12 caracteres e "
        "reinicie a demonstração para revisar marcações aqui.",
    ),
    "review_lead": (
        "For maintainers: what you accept counts in training, what you reject never does.",
        "Para mantenedores: o que você aceita conta no treino, o que rejeita nunca conta.",
    ),
    "review_password": ("Password", "Senha"),
    "review_name": ("Who you are", "Quem é você"),
    "review_name_help": (
        "Any name, the same each time; only a keyed hash of it is kept.",
        "Qualquer nome, sempre o mesmo; só um hash com chave dele é guardado.",
    ),
    "review_log_in": ("Log in", "Entrar"),
    "review_sign_in": ("Sign in with Hugging Face", "Entrar com o Hugging Face"),
    "review_sign_in_other": ("Sign out of this account", "Sair desta conta"),
    "review_log_out": ("Log out", "Sair"),
    "review_waiting": (
        "{n} cases wait, the most useful one first",
        "{n} casos esperam, o mais útil primeiro",
    ),
    "review_waiting_one": ("{n} case waits", "{n} caso espera"),
    "review_done": ("Nothing to decide", "Nada a decidir"),
    "review_empty": (
        "Cases appear here once visitors answer “Was this right?” below a score.",
        "Os casos aparecem aqui quando visitantes respondem “Isto estava certo?” abaixo de uma nota.",
    ),
    "review_empty_left": (
        "Every other case is decided; those you were unsure about ({n}) come back at your next login.",
        "Todos os outros casos estão decididos; os que deixaram dúvida ({n}) voltam no seu próximo login.",
    ),
    "review_said_fraud": ("Reported as fraud", "Relatada como fraude"),
    "review_said_legitimate": ("Reported as legitimate", "Relatada como legítima"),
    "review_verdict_right": ("“The answer was right”", "“A resposta estava certa”"),
    "review_verdict_wrong": ("“The answer was wrong”", "“A resposta estava errada”"),
    "review_stands_for": (
        "Drawn by lot: this answer speaks for about {n} predictions. A slip would weigh as much as the "
        "truth, so monitoring counts it only with your second opinion.",
        "Sorteada: esta resposta fala por cerca de {n} previsões. Um engano pesaria tanto quanto a verdade, "
        "por isso o monitoramento só a conta com a sua segunda opinião.",
    ),
    "review_no_votes": (
        "Nobody else has said anything of this transaction.",
        "Ninguém mais disse nada desta transação.",
    ),
    "review_votes": (
        "Others on the same transaction: {fraud} said fraud, {legitimate} legitimate",
        "Outros sobre a mesma transação: {fraud} disseram fraude, {legitimate} legítima",
    ),
    "review_unsure_before": ("A maintainer was unsure", "Um mantenedor ficou em dúvida"),
    "review_no_reasons": (
        "The version that gave this score no longer serves, so its reasons cannot be shown.",
        "A versão que deu esta nota não está mais em uso, e os motivos dela não podem ser mostrados.",
    ),
    "review_question": (
        "Is the report true? Accept it, reject it, or say that you cannot tell.",
        "O relato é verdadeiro? Aceite, rejeite ou diga que não dá para saber.",
    ),
    "review_note": ("Note (optional)", "Nota (opcional)"),
    "review_note_help": (
        "Why? It is kept with the decision.",
        "Por quê? Fica guardada com a decisão.",
    ),
    "review_accept": ("Accept (A)", "Aceitar (A)"),
    "review_reject": ("Reject (R)", "Rejeitar (R)"),
    "review_unsure": ("Unsure (U)", "Dúvida (U)"),
    "review_bulk": ("Decide several at once", "Decidir vários de uma vez"),
    "review_bulk_cases": ("Cases", "Casos"),
    "review_bulk_note": ("Note for all of them (optional)", "Nota para todos (opcional)"),
    "review_bulk_accept": ("Accept the selected", "Aceitar os selecionados"),
    "review_bulk_reject": ("Reject the selected", "Rejeitar os selecionados"),
    "review_bulk_unsure": ("Unsure of the selected", "Em dúvida sobre os selecionados"),
    "review_bulk_none": ("Select at least one case first.", "Selecione antes pelo menos um caso."),
    "review_kept_accept": ("Accepted: {n}.", "Aceitos: {n}."),
    "review_kept_reject": ("Rejected: {n}.", "Rejeitados: {n}."),
    "review_kept_unsure": ("Unsure: {n}.", "Em dúvida: {n}."),
    "review_gone": (
        "This case is already decided or withdrawn; here is the next one.",
        "Este caso já foi decidido ou retirado; aqui está o próximo.",
    ),
    "error_wrong_password": (
        "This is not the password; check it and try again.",
        "Esta não é a senha; confira e tente de novo.",
    ),
    "error_locked_out": (
        "Too many wrong passwords came from here; wait {seconds} seconds and try again.",
        "Chegaram senhas erradas demais daqui; espere {seconds} segundos e tente de novo.",
    ),
    "error_not_a_reviewer": (
        "You are signed in as {name}, who is not among the reviewers of this demo; ask its maintainers to "
        "add you.",
        "Você entrou como {name}, que não está entre os revisores desta demonstração; peça aos mantenedores "
        "que incluam você.",
    ),
    "error_not_logged_in": (
        "Log in first; decisions are only taken from maintainers.",
        "Entre primeiro; decisões só são aceitas de mantenedores.",
    ),
    # Taking it back
    "withdraw": ("Withdraw my data", "Retirar meus dados"),
    "withdraw_sure": (
        "The transaction, the scores, your answer and your comment leave the dataset with the next commit "
        "and are used for no training from then on.",
        "A transação, as notas, sua resposta e seu comentário saem do conjunto de dados no próximo commit e "
        "não são usados em nenhum treino a partir daí.",
    ),
    "withdraw_yes": ("Yes, withdraw", "Sim, retirar"),
    "withdraw_no": ("Keep it", "Manter"),
    "withdraw_earlier": (
        "Something kept earlier: where it is, or take it back",
        "Algo guardado antes: onde está, ou retirá-lo",
    ),
    "withdraw_receipt": ("Its receipt", "O recibo"),
    "withdraw_receipt_help": ("It begins with f_ or p_.", "Começa com f_ ou p_."),
    "withdraw_send": ("Withdraw it", "Retirar"),
    "withdrawn": (
        "Withdrawn: what receipt {receipt} stood for is used no more and leaves the newest version of the "
        "dataset with the next commit.",
        "Retirado: o que o recibo {receipt} representava não é mais usado e sai da versão mais nova do "
        "conjunto de dados no próximo commit.",
    ),
    "withdraw_unknown": (
        "Nothing with this receipt is kept here; check the receipt that you were given.",
        "Nada com este recibo está guardado aqui; confira o recibo que você recebeu.",
    ),
}
