"""The texts of the panel for programmers, in English and Brazilian Portuguese side by side."""

from collections.abc import Mapping

PROGRAMS_TEXTS: Mapping[str, tuple[str, str]] = {
    "programs": ("Use this from code", "Usar por código"),
    "programs_lead": (
        "Paste one of these: each scores an example with both models, on this server.",
        "Cole um destes: cada um pontua um exemplo com os dois modelos, neste servidor.",
    ),
    "programs_curl": ("Shell, one transaction", "Terminal, uma transação"),
    "programs_python": (
        "Python, one transaction (pip install gradio_client)",
        "Python, uma transação (pip install gradio_client)",
    ),
    "programs_table": ("Shell, a whole table", "Terminal, uma tabela inteira"),
    "programs_copy": ("Copy", "Copiar"),
    "programs_copied": ("Copied", "Copiado"),
    "programs_more": (
        'Every route, with its fields: <a href="docs">the API\'s own page</a>.',
        'Todas as rotas, com seus campos: <a href="docs">a página da API</a> (em inglês).',
    ),
}
