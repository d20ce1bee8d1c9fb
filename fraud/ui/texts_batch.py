"""The texts of the Table tab, in English and Brazilian Portuguese side by side."""

import re
from collections.abc import Mapping, Sequence

BATCH_TEXTS: Mapping[str, tuple[str, str]] = {
    "tab_batch": ("A table", "Uma tabela"),
    "batch_title": ("Score a whole table", "Pontuar uma tabela inteira"),
    "batch_lead": (
        "Drop a CSV or Parquet file of at most {size} MB and {rows} rows. Each row sees the earlier rows of "
        "its file. The file is deleted after an hour, and nothing of it enters the feedback dataset unless "
        "you flag a row.",
        "Solte um arquivo CSV ou Parquet de no máximo {size} MB e {rows} linhas. Cada linha vê as linhas "
        "anteriores do arquivo. O arquivo é apagado depois de uma hora, e nada dele entra nos dados de "
        "feedback, a menos que você sinalize uma linha.",
    ),
    "batch_sample": ("Download a sample file", "Baixar um arquivo de exemplo"),
    "batch_file": ("Table to score", "Tabela a pontuar"),
    "batch_opened": (
        "{name}: {rows} rows, {columns} columns",
        "{name}: {rows} linhas, {columns} colunas",
    ),
    "batch_all_known": (
        "All columns were recognised. Check them if you like, and score.",
        "Todas as colunas foram reconhecidas. Confira, se quiser, e pontue.",
    ),
    "batch_some_guessed": (
        "Please check these, which were guessed from their names: {columns}.",
        "Confira estas, adivinhadas pelo nome: {columns}.",
    ),
    "batch_some_missing": (
        "Choose the column for: {columns}.",
        "Escolha a coluna para: {columns}.",
    ),
    "batch_decimal_comma": (
        "Numbers are read with a decimal comma, as in 1.234,56.",
        "Os números são lidos com vírgula decimal, como em 1.234,56.",
    ),
    "batch_columns": ("Which column is which", "Qual coluna é qual"),
    "batch_role_id": ("Transaction number (optional)", "Número da transação (opcional)"),
    "batch_role_label": ("Known to be fraud (optional)", "Sabidamente fraude (opcional)"),
    "batch_role_label_at": ("Reported at (optional)", "Denunciada em (opcional)"),
    "batch_not_there": ("not in this table", "não está nesta tabela"),
    "batch_score": ("Score the table", "Pontuar a tabela"),
    "batch_cancel": ("Cancel", "Cancelar"),
    "batch_forget": ("Delete this table now", "Apagar esta tabela agora"),
    "batch_waiting_one": ("Waiting to be scored: yours is next.", "Aguardando: a sua é a próxima."),
    "batch_waiting": (
        "Another table is being scored. Yours is number {place} in the queue.",
        "Outra tabela está sendo pontuada. A sua é a número {place} da fila.",
    ),
    "batch_step_": ("Starting", "Começando"),
    "batch_step_read": ("Reading and checking", "Lendo e conferindo"),
    "batch_step_history": ("Collecting each card's past", "Reunindo o passado de cada cartão"),
    "batch_step_score": ("Scoring with both models", "Pontuando com os dois modelos"),
    "batch_progress": ("{done} of {rows} rows", "{done} de {rows} linhas"),
    "batch_speed": ("{speed} rows per second", "{speed} linhas por segundo"),
    "batch_left": ("about {time} left", "faltam cerca de {time}"),
    "batch_cancelled": (
        "Stopped. Nothing was kept of the answers; press Score to begin again.",
        "Parado. Nenhuma resposta foi guardada; aperte Pontuar para recomeçar.",
    ),
    "batch_done": (
        "{rows} rows scored in {time} by model version {version}",
        "{rows} linhas pontuadas em {time} pelo modelo versão {version}",
    ),
    "batch_tile_scored": ("Rows scored", "Linhas pontuadas"),
    "batch_tile_alerts": ("{model} alerts", "Alertas do {model}"),
    "batch_tile_differ": ("Only one model alerts", "Só um modelo alerta"),
    "batch_tile_refused": ("Rows refused", "Linhas recusadas"),
    "batch_blank": ("{n} empty lines were left out.", "{n} linhas vazias ficaram de fora."),
    "batch_download_csv": ("Download scored rows (CSV)", "Baixar as linhas pontuadas (CSV)"),
    "batch_download_parquet": ("Parquet", "Parquet"),
    "batch_download_refused": ("Download the refused rows", "Baixar as linhas recusadas"),
    "batch_show": ("Which rows are the riskiest?", "Quais linhas são as mais arriscadas?"),
    "batch_choice": ("Rows to show", "Linhas a mostrar"),
    "batch_choice_all": ("All", "Todas"),
    "batch_choice_alerts": ("Any alert", "Algum alerta"),
    "batch_choice_differ": ("Models differ", "Modelos diferem"),
    "batch_none": ("No row of this kind.", "Nenhuma linha deste tipo."),
    "batch_page": ("{first} to {last} of {n}", "{first} a {last} de {n}"),
    "batch_previous": ("Previous", "Anteriores"),
    "batch_next": ("Next", "Próximas"),
    "batch_row": ("Row", "Linha"),
    "batch_line": ("Line", "Linha do arquivo"),
    "batch_column": ("Column", "Coluna"),
    "batch_reason": ("Why it was refused", "Por que foi recusada"),
    "batch_select": ("Select row {row}", "Selecionar a linha {row}"),
    "batch_pick": ("Pick", "Marcar"),
    "batch_flagged": ("flagged", "sinalizada"),
    "batch_refused_title": (
        "Which rows were refused, and why?",
        "Quais linhas foram recusadas, e por quê?",
    ),
    "batch_refused_shown": (
        "The first {shown} of {n}; the download has them all. Line 1 is the header.",
        "As primeiras {shown} de {n}; o arquivo para baixar tem todas. A linha 1 é o cabeçalho.",
    ),
    "batch_flag_title": ("Were some of these answers wrong?", "Alguma destas respostas estava errada?"),
    "batch_flag_lead": (
        "Tick up to {n} rows above and say what they were. Each becomes a flag of its own, as if you had "
        "entered the transaction.",
        "Marque até {n} linhas acima e diga o que eram. Cada uma vira uma sinalização própria, como se você "
        "tivesse digitado a transação.",
    ),
    "batch_flag_send": ("Flag the ticked rows", "Sinalizar as linhas marcadas"),
    "batch_flag_none": ("Tick at least one row first.", "Marque ao menos uma linha primeiro."),
    "batch_flag_many": ("Tick at most {n} rows at a time.", "Marque no máximo {n} linhas por vez."),
    "batch_flag_kept_one": ("1 row flagged.", "1 linha sinalizada."),
    "batch_flag_kept": ("{n} rows flagged.", "{n} linhas sinalizadas."),
    "batch_flag_receipt": (
        "Row {row}: receipt {receipt}",
        "Linha {row}: recibo {receipt}",
    ),
    "batch_flag_problem": ("Row {row}: {problem}", "Linha {row}: {problem}"),
    # Errors, by code
    "error_table_empty": (
        "{name}: there are no rows; send a file with a header and rows.",
        "{name}: não há linhas; envie um arquivo com cabeçalho e linhas.",
    ),
    "error_table_large": (
        "{name}: more than {rows} rows, or {size} GB once unpacked; split it.",
        "{name}: mais de {rows} linhas, ou {size} GB depois de descompactado; divida o arquivo.",
    ),
    "error_table_quote": (
        "{name}: a quotation mark is opened and never closed; close it.",
        "{name}: uma aspa é aberta e nunca fechada; feche-a.",
    ),
    "error_table_unreadable": (
        "{name}: not a readable CSV or Parquet table ({reason}); export it again.",
        "{name}: não é uma tabela CSV ou Parquet legível ({reason}); exporte de novo.",
    ),
    "error_table_nul": (
        "{name}: line {line} holds NUL bytes, so it is no text; save it as CSV in UTF-8, or as Parquet.",
        "{name}: a linha {line} contém bytes NUL: não é texto; salve como CSV em UTF-8 ou Parquet.",
    ),
    "error_table_encoding": (
        "{name}: line {line} is not text in UTF-8; save it as CSV in UTF-8, or as Parquet.",
        "{name}: a linha {line} não é texto em UTF-8; salve como CSV em UTF-8 ou como Parquet.",
    ),
    "error_table_line": (
        "{name}: line {line} is longer than {size} MB; a table has one transaction on a line.",
        "{name}: a linha {line} tem mais de {size} MB; uma tabela tem uma transação por linha.",
    ),
    "error_table_header": (
        "{name}: the header is spread over several lines; use one.",
        "{name}: o cabeçalho ocupa várias linhas; use uma só.",
    ),
    "error_table_columns": (
        "{name}: {columns} columns, and at most {limit} are read; keep those that matter.",
        "{name}: {columns} colunas, e no máximo {limit} são lidas; deixe só as que importam.",
    ),
    "error_table_repeated": (
        '{name}: two columns are called "{column}"; rename or remove one of them.',
        '{name}: duas colunas se chamam "{column}"; renomeie ou remova uma delas.',
    ),
    "error_table_nested": (
        '{name}: column "{column}" holds {type}, and a cell must hold one value; remove it.',
        '{name}: a coluna "{column}" contém {type}, e cada célula deve ter um só valor; remova-a.',
    ),
    "error_match_missing": (
        'Choose the column for "{field}": the models need it.',
        'Escolha a coluna para "{field}": os modelos precisam dela.',
    ),
    "error_match_twice": (
        'The column "{name}" was chosen twice; choose another for one of them.',
        'A coluna "{name}" foi escolhida duas vezes; escolha outra para uma delas.',
    ),
    "error_match_unknown": (
        'The table has no column "{name}"; choose another.',
        'A tabela não tem a coluna "{name}"; escolha outra.',
    ),
    "error_no_row_fits": (
        "Not one row fits: line {line}, {rule}.",
        "Nenhuma linha serve: linha {line}, {rule}.",
    ),
    "error_table_queue": (
        "{n} tables are waiting already; try again in some minutes.",
        "Já há {n} tabelas na fila; tente de novo em alguns minutos.",
    ),
    "error_table_gone": (
        "The table was deleted, as every table is after an hour; send it again.",
        "A tabela foi apagada, como toda tabela depois de uma hora; envie de novo.",
    ),
    "error_table_room": (
        "The server has no room for this table now; try later, or send a smaller one.",
        "O servidor não tem espaço para esta tabela agora; tente mais tarde ou envie uma menor.",
    ),
    "error_table_defect": (
        "The table could not be scored because of a defect here; it was logged.",
        "A tabela não pôde ser pontuada por um defeito nosso; ele foi registrado.",
    ),
}

_RULES: Sequence[tuple[str, str]] = (
    (r"is not a number", "não é um número"),
    (r"is not a number between (\S+) and (\S+)", r"não é um número entre \1 e \2"),
    (r"is missing, and the profile requires it", "falta, e é obrigatório"),
    (r"is missing, and every transaction needs a time", "falta, e toda transação precisa de data e hora"),
    (r"is below the minimum (\S+)", r"é menor que o mínimo \1"),
    (r"is above the maximum (\S+)", r"é maior que o máximo \1"),
    (r"is neither a text nor a number", "não é texto nem número"),
    (r"is neither true nor false", "não é nem sim nem não"),
    (r"is not one of the levels (.*)", r"não é um destes valores: \1"),
    (r"is not a date and time such as (\S+)", r"não é uma data e hora como \1"),
    (r"lies outside the years (\d+) to (\d+)", r"está fora dos anos \1 a \2"),
    (r"in (seconds|milliseconds) lies outside the years (\d+) to (\d+)", r"está fora dos anos \2 a \3"),
    (r"lies in the future", "está no futuro"),
    (r"is neither fraud \((.*)\) nor legitimate \((.*)\)", r"não é nem fraude (\1) nem legítima (\2)"),
    (
        r"is not a printable text of at most (\d+) characters",
        r"não é um texto de até \1 caracteres imprimíveis",
    ),
    (r"has another number of cells than the header", "tem outro número de células que o cabeçalho"),
)


def rule_text(rule: str, language: str) -> str:
    """Return the rule that a refused row breaks in a language; one without a twin stays in English."""
    if not language.startswith("pt"):
        return rule
    for pattern, words in _RULES:
        found = re.fullmatch(pattern, rule)
        if found:
            return found.expand(words)
    return rule
