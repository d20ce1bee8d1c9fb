"""The texts of a flag's way into a model version, in English and Brazilian Portuguese side by side."""

from collections.abc import Mapping

from fraud.tracing import REASONS

_PORTUGUESE: Mapping[str, str] = {
    "no_version": "nenhuma versão foi treinada desde que ela entrou no conjunto de dados",
    "quarantine": "era recente demais para ser usada sem uma revisão",
    "rejected": "um mantenedor a rejeitou",
    "unsure": "um mantenedor não soube dizer se é verdadeira",
    "tied": "o mesmo número de pessoas disse o contrário",
    "doubtful": "o que as pessoas disseram desta transação era duvidoso demais",
    "distrusted": "quem a relatou discorda dos outros vezes demais",
    "no_prediction": "não é sobre a resposta que ela cita",
    "capped": "chegaram respostas não revisadas demais como ela, e outras a representam",
    "contradicted": "a tabela com que os modelos aprendem tem esta transação como fraude",
    "outweighed": "o que outros ou um mantenedor disseram da mesma transação pesou mais",
    "profile": "foi pontuada com outro perfil de dados",
    "misfit": "a transação não cabe mais no perfil de dados",
    "held_out": "a transação está entre as que avaliam os modelos, que não podem ser ensinadas a eles",
    "other_content": "cita uma transação conhecida e mostra outra",
}

TRACING_TEXTS: Mapping[str, tuple[str, str]] = {
    "reviewed_accept": ("Reviewed: a maintainer accepted it", "Revisada: um mantenedor a aceitou"),
    "reviewed_reject": ("Reviewed: a maintainer rejected it", "Revisada: um mantenedor a rejeitou"),
    "reviewed_unsure": (
        "Reviewed: a maintainer could not tell",
        "Revisada: um mantenedor não soube dizer",
    ),
    "used_in": ("Used to train version {version}", "Usada para treinar a versão {version}"),
    "unused": ("Not used yet: {why}", "Ainda não usada: {why}"),
    "unused_in": ("Not used in version {version}: {why}", "Não usada na versão {version}: {why}"),
    "trace_withdrawn": (
        "Withdrawn: it is used for nothing any more",
        "Retirada: não é mais usada para nada",
    ),
    "trace_send": ("Where is it now?", "Onde está agora?"),
    **{f"unused_{code}": (words, _PORTUGUESE[code]) for code, words in REASONS.values()},
}
