"""Every text of the page, in English and Brazilian Portuguese side by side."""

from collections.abc import Mapping

from fraud.data.profile import Profile
from fraud.errors import FraudError
from fraud.formats import exact, pretty
from fraud.ui.texts_batch import BATCH_TEXTS
from fraud.ui.texts_compare import COMPARE_TEXTS
from fraud.ui.texts_keep import KEEP_TEXTS
from fraud.ui.texts_models import MODELS_TEXTS
from fraud.ui.texts_monitoring import MONITORING_TEXTS
from fraud.ui.texts_notices import NOTICE_TEXTS
from fraud.ui.texts_operations import OPERATIONS_TEXTS
from fraud.ui.texts_programs import PROGRAMS_TEXTS
from fraud.ui.texts_review import REVIEW_TEXTS
from fraud.ui.texts_score import SCORE_TEXTS
from fraud.ui.texts_tracing import TRACING_TEXTS
from fraud.ui.texts_versions import VERSIONS_TEXTS

LANGUAGES = ("en", "pt-BR")
LANGUAGE_NAMES: Mapping[str, str] = {"en": "English", "pt-BR": "Português"}

TEXTS: Mapping[str, tuple[str, str]] = {
    "title": ("Is this transaction fraud?", "Esta transação é fraude?"),
    "lead": (
        "Two models score every transaction side by side and say why. Tell them when they are wrong: "
        "they learn from it.",
        "Dois modelos pontuam cada transação, lado a lado, e dizem por quê. Avise quando errarem: "
        "eles aprendem com isso.",
    ),
    "language": ("Language", "Idioma"),
    "examples": ("Start from an example", "Comece por um exemplo"),
    "from_scratch": ("From scratch", "Do zero"),
    "transaction": ("The transaction", "A transação"),
    "time": ("Date and time (UTC)", "Data e hora (UTC)"),
    "time_help": ("For example 2026-08-30 18:05.", "Por exemplo 30/08/2026 18:05 ou 2026-08-30 18:05."),
    "time_seconds": ("Time (seconds since {origin})", "Tempo (segundos desde {origin})"),
    "entity_help": (
        "Choose one to fill in its usual values, type another, or leave it empty.",
        "Escolha um para preencher os valores habituais, digite outro ou deixe vazio.",
    ),
    "other_entity_help": ("Optional.", "Opcional."),
    "date_help": ("Year-month-day, for example 1980-01-31.", "Ano-mês-dia, por exemplo 1980-01-31."),
    "more_fields": ("More fields", "Mais campos"),
    "yes": ("Yes", "Sim"),
    "no": ("No", "Não"),
    "unknown": ("Unknown", "Não se sabe"),
    "score": ("Score this transaction", "Pontuar esta transação"),
    # The answers
    "model_random_forest": ("Random Forest", "Random Forest"),
    "model_xgboost": ("XGBoost", "XGBoost"),
    "fraud_probability": ("Fraud probability", "Probabilidade de fraude"),
    "decision_approve": ("Approve", "Aprovar"),
    "decision_review": ("Review", "Revisar"),
    "decision_decline": ("Decline", "Recusar"),
    "both_approve": (
        "Both models would approve this transaction",
        "Os dois modelos aprovariam esta transação",
    ),
    "both_review": (
        "Both models would review this transaction",
        "Os dois modelos mandariam revisar esta transação",
    ),
    "both_decline": (
        "Both models would decline this transaction",
        "Os dois modelos recusariam esta transação",
    ),
    "disagree": (
        "They disagree: {first} would {first_decision} it, {second} would {second_decision} it",
        "Os modelos discordam: {first} {first_decision}, {second} {second_decision}",
    ),
    "would_approve": ("approve", "aprovaria"),
    "would_review": ("review", "mandaria revisar"),
    "would_decline": ("decline", "recusaria"),
    "small_print": (
        "Model version {version} · answered in {latency} ms",
        "Modelo versão {version} · respondeu em {latency} ms",
    ),
    "stale": (
        "Not scored yet: the answers below are for the last complete transaction",
        "Ainda não pontuada: as respostas abaixo são da última transação completa",
    ),
    "scale_label": (
        "{probability} on a scale where review starts at {review} and decline at {decline}",
        "{probability} em uma escala em que a revisão começa em {review} e a recusa em {decline}",
    ),
    "why": ("Why", "Por quê"),
    "others": ("{n} other facts together", "{n} outros fatos somados"),
    "towards_fraud": ("towards fraud", "para fraude"),
    "towards_legitimate": ("towards legitimate", "para legítima"),
    "scale_probability": (
        "Exact SHAP values, in percentage points (pp) of the trees' vote before calibration: from {expected} "
        "for an average transaction to {total} for this one.",
        "Valores SHAP exatos, em pontos percentuais (pp) do voto das árvores antes da calibração: de "
        "{expected} para uma transação média a {total} para esta.",
    ),
    "scale_log_odds": (
        "Exact SHAP values, in log-odds before calibration: from {expected} for an average transaction to "
        "{total} for this one.",
        "Valores SHAP exatos, em log-odds antes da calibração: de {expected} para uma transação média a "
        "{total} para esta.",
    ),
    # The past
    "past": ("History of {entity}", "Histórico: {entity}"),
    "past_none": (
        "No history is known of {entity}: the models see it for the first time.",
        "Nenhum histórico conhecido de {entity}: é a primeira vez que os modelos o veem.",
    ),
    "past_untyped": (
        "No {entity} given: the models judge this transaction without a history.",
        "Sem {entity}: os modelos julgam esta transação sem histórico.",
    ),
    "mark_legitimate": ("legitimate", "legítima"),
    "mark_fraud": ("fraud, known by then", "fraude já conhecida"),
    "mark_unknown": ("not yet known", "ainda não se sabe"),
    "mark_this": ("this transaction", "esta transação"),
    # Was this right?
    "right_question": ("Was this right?", "Isto estava certo?"),
    "right_lead": (
        "Your answer becomes training data, with your consent.",
        "Sua resposta vira dado de treino, com o seu consentimento.",
    ),
    "audit_asked": (
        "You were picked for our quality sample: please tell us what it was, even if the answer is right.",
        "Esta transação caiu na nossa amostra de qualidade: diga o que era, mesmo se a resposta está certa.",
    ),
    "right": ("Right", "Certo"),
    "wrong": ("Wrong", "Errado"),
    "what_was_it": ("What was this transaction?", "O que era esta transação?"),
    "label_fraud": ("Fraud", "Fraude"),
    "label_legitimate": ("Legitimate", "Legítima"),
    "noted_fraud": ("Noted as: fraud.", "Anotada como: fraude."),
    "noted_legitimate": ("Noted as: legitimate.", "Anotada como: legítima."),
    "comment": ("Comment (optional)", "Comentário (opcional)"),
    "comment_help": (
        "What gave it away? Do not write names, card numbers or addresses.",
        "O que a denunciou? Não escreva nomes, números de cartão nem endereços.",
    ),
    "consent": (
        "I agree that this is kept and used to improve the models",
        "Concordo que isto seja guardado e usado para melhorar os modelos",
    ),
    "consent_detail": (
        "Kept: the transaction as entered, any history sent with it, both models' scores and decisions, the "
        "model version, your answer and comment, and a pseudonym made from this browser session. Not kept: "
        "your name, e-mail or network address. The dataset may be published, and every version of it stays "
        "readable.",
        "Fica guardado: a transação como foi digitada, o histórico enviado com ela, as notas e decisões dos "
        "dois modelos, a versão do modelo, sua resposta e seu comentário, e um pseudônimo feito desta sessão "
        "do navegador. Não fica: seu nome, e-mail ou endereço de rede. O conjunto de dados pode ser "
        "publicado, e cada versão dele continua legível.",
    ),
    "send": ("Send my answer", "Enviar minha resposta"),
    "saved": ("Saved. Receipt {receipt}", "Salvo. Recibo {receipt}"),
    "saved_waiting": (
        "It is on disk and joins the feedback dataset with the next commit…",
        "Está em disco e entra no conjunto de dados no próximo commit…",
    ),
    "saved_committed": (
        "Committed to the feedback dataset at revision {revision}",
        "Gravado no conjunto de dados na revisão {revision}",
    ),
    # A whole table
    "tab_score": ("One transaction", "Uma transação"),
    # Errors, by code
    "error_empty": ("The table has no rows.", "A tabela não tem linhas."),
    "error_column_missing": (
        'Column "{field}" is missing; the table needs it.',
        'Falta a coluna "{field}", e a tabela precisa dela.',
    ),
    "error_file": (
        "This is not a readable CSV or Parquet table: separate columns by commas, save it in UTF-8, and give "
        "every column a name of its own.",
        "Isto não é uma tabela CSV ou Parquet legível: separe as colunas por vírgulas, salve em UTF-8 e dê a "
        "cada coluna um nome próprio.",
    ),
    "error_no_consent": (
        "Your answer can only be kept with your consent; tick the consent box and send it again.",
        "Sua resposta só pode ser guardada com o seu consentimento; marque a caixa e envie de novo.",
    ),
    "error_rate_limited": (
        "Too many answers came from here in a short time, so this one was not taken; wait {seconds} seconds "
        "and send it again.",
        "Chegaram respostas demais daqui em pouco tempo e esta não foi aceita; espere {seconds} segundos e "
        "envie de novo.",
    ),
    "error_verdict": (
        "Say first whether the answer was right or wrong.",
        "Diga primeiro se a resposta estava certa ou errada.",
    ),
    "error_label": (
        "Say what the transaction was, fraud or legitimate.",
        "Diga o que a transação era, fraude ou legítima.",
    ),
    "error_contradiction": (
        "Your two answers contradict each other: what you say the transaction was, and whether the models "
        "were right. Change one of them.",
        "Suas duas respostas se contradizem: o que a transação era e se os modelos acertaram. Mude uma "
        "delas.",
    ),
    "error_prediction_gone": (
        "This prediction is no longer known here; score the transaction again, then answer.",
        "Esta previsão não é mais conhecida aqui; pontue a transação de novo e responda em seguida.",
    ),
    "error_version_changed": (
        "A new model version has been released since this score; score the transaction again.",
        "Uma nova versão do modelo foi publicada depois desta nota; pontue a transação de novo.",
    ),
    "error_comment_too_long": (
        "The comment has {length} characters; at most {limit} are kept. Shorten it and send it again.",
        "O comentário tem {length} caracteres; no máximo {limit} são guardados. Encurte-o e envie de novo.",
    ),
    "error_comment_control": (
        "The comment holds a control character; type it again without pasting.",
        "O comentário contém um caractere de controle; digite-o de novo, sem colar.",
    ),
    "error_outbox_full": (
        "Too many answers wait to be committed, so yours was not taken; try again in a few minutes.",
        "Há respostas demais esperando o commit e a sua não foi aceita; tente de novo em alguns minutos.",
    ),
    "error_outbox_failed": (
        "Your answer could not be saved on this server, and nothing was kept; try again later.",
        "Sua resposta não pôde ser salva neste servidor e nada foi guardado; tente de novo mais tarde.",
    ),
    "error_outbox_gone": (
        "Your answer could not be saved on this server, and nothing was kept; try again later.",
        "Sua resposta não pôde ser salva neste servidor e nada foi guardado; tente de novo mais tarde.",
    ),
    "error_unmovable": (
        "This field cannot be moved; choose one of the listed fields.",
        "Este campo não pode ser mudado; escolha um dos campos da lista.",
    ),
    "error_no_receipt": (
        "This receipt is no longer known here; the answer itself is in the dataset or its outbox.",
        "Este recibo não é mais conhecido aqui; a resposta está no conjunto de dados ou na fila de saída.",
    ),
    # One transaction's rules: the English twins of data/validate.py's PROBLEMS, for people
    "problem_missing": ("{field} is missing; give a value.", "Falta {field}; informe um valor."),
    "problem_not_a_number": (
        "{field} must be a number, and {value} is not; write digits with a decimal point.",
        "{field} deve ser um número, e {value} não é; escreva algarismos com ponto decimal.",
    ),
    "problem_not_an_integer": (
        "{field} must be a whole number, and {value} is not.",
        "{field} deve ser um número inteiro, e {value} não é.",
    ),
    "problem_below_minimum": (
        "{field} must be at least {limit}, and {value} is below it.",
        "{field} deve ser no mínimo {limit}, e {value} é menos que isso.",
    ),
    "problem_above_maximum": (
        "{field} must be at most {limit}, and {value} is above it.",
        "{field} deve ser no máximo {limit}, e {value} é mais que isso.",
    ),
    "problem_unknown_level": (
        "{field} must be one of the listed values, and {value} is none of them.",
        "{field} deve ser um dos valores da lista, e {value} não é nenhum deles.",
    ),
    "problem_not_a_boolean": (
        "{field} must be yes or no, and {value} is neither.",
        "{field} deve ser sim ou não, e {value} não é nenhum dos dois.",
    ),
    "problem_not_a_date": (
        "{field} must be a date such as 1980-01-31, and {value} is not.",
        "{field} deve ser uma data como 1980-01-31, e {value} não é.",
    ),
    "problem_not_a_time": (
        "{field} must be a date and time such as 2026-08-30 18:05, and {value} is not.",
        "{field} deve ser uma data e hora como 2026-08-30 18:05, e {value} não é.",
    ),
    "problem_in_the_future": (
        "{field} lies in the future ({value}); give a moment that has passed.",
        "{field} está no futuro ({value}); informe um momento que já passou.",
    ),
    "problem_too_long": (
        "{field} must be a text of at most {limit} printable characters.",
        "{field} deve ser um texto de no máximo {limit} caracteres imprimíveis.",
    ),
    "problem_unknown_field": (
        "{field} is not a field of this profile.",
        "{field} não é um campo deste perfil.",
    ),
    "problem_not_an_object": (
        "{field} must be a set of fields and values.",
        "{field} deve ser um conjunto de campos e valores.",
    ),
    "problem_too_many": (
        "{field} may hold at most {limit} transactions, and has {value}.",
        "{field} pode ter no máximo {limit} transações, e tem {value}.",
    ),
    # Kinds of examples
    "kind_legitimate": ("Legitimate", "Legítima"),
    "kind_fraud": ("Fraud", "Fraude"),
    "kind_card_testing": ("Card testing", "Teste de cartão"),
    "kind_lost_stolen": ("Lost or stolen", "Perda ou roubo"),
    "kind_account_takeover": ("Account takeover", "Conta invadida"),
    "kind_skimmed_merchant": ("Skimmed card", "Cartão clonado"),
    "kind_cash_out": ("Cash out", "Saque do fraudador"),
    **BATCH_TEXTS,
    **COMPARE_TEXTS,
    **KEEP_TEXTS,
    **NOTICE_TEXTS,
    **PROGRAMS_TEXTS,
    **REVIEW_TEXTS,
    **SCORE_TEXTS,
    **TRACING_TEXTS,
    **OPERATIONS_TEXTS,
    **MONITORING_TEXTS,
    **VERSIONS_TEXTS,
    **MODELS_TEXTS,
}


def text(key: str, language: str, **params: object) -> str:
    """Return one text; `params` fill its gaps. KeyError for a key that does not exist."""
    return TEXTS[key][language.startswith("pt")].format(**params)


def choose_language(accept_language: str) -> str:
    """Return the language of the page for a browser's Accept-Language header."""
    first = accept_language.split(",")[0].strip().lower()
    return "pt-BR" if first.startswith("pt") else "en"


def kind_name(kind: str, language: str) -> str:
    """Return an example's kind for people; one that nobody named here is shown as words."""
    key = f"kind_{kind}"
    if kind.isdigit():
        return f"{text('kind_fraud', language)} {kind}"
    return text(key, language) if key in TEXTS else pretty(kind)


def column_label(profile: Profile, column: str, language: str) -> str:
    """Return the label of a field, an entity or the time; a column without one is shown as it is."""
    field = profile.by_column.get(column)
    if field is not None:
        return field.label.in_language(language)
    for entity in profile.entities:
        if entity.column == column:
            return entity.label.in_language(language)
    if column == profile.columns.time:
        return time_label(profile, language)
    return column


def time_label(profile: Profile, language: str) -> str:
    """Return the time field's label, which says its unit."""
    if profile.columns.time_unit == "seconds":
        return text("time_seconds", language, origin=profile.columns.time_origin.isoformat())
    return text("time", language)


def error_text(error: FraudError, profile: Profile, language: str) -> str:
    """Return an expected error as one sentence in the language; one without a twin stays in English."""
    params = {key: _shown(value, language) for key, value in error.params.items()}
    if f"problem_{error.code}" in TEXTS:
        field = column_label(profile, error.field or "", language)
        return text(f"problem_{error.code}", language, **(params | {"field": field}))
    if f"error_{error.code}" in TEXTS:
        return text(f"error_{error.code}", language, **(params | {"field": error.field}))
    return error.message


def _shown(value: object, language: str) -> str:
    try:
        return exact(float(str(value)), language)
    except ValueError:
        return str(value)
