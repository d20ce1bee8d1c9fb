"""What page.js says when the server cannot be reached, in English and Brazilian Portuguese side by side."""

from collections.abc import Mapping

NOTICES = ("lost", "back", "full", "queued", "failed", "kind", "size", "close", "waiting")
NOTICE_TEXTS: Mapping[str, tuple[str, str]] = {
    "notice_lost": (
        "The server cannot be reached, so nothing was done. What you typed is still here: check your "
        "connection and press the button again.",
        "O servidor não responde, e nada foi feito. O que você digitou continua aqui: verifique a conexão e "
        "aperte o botão de novo.",
    ),
    "notice_back": (
        "The connection is back. What you typed is still here: press the button again.",
        "A conexão voltou. O que você digitou continua aqui: aperte o botão de novo.",
    ),
    "notice_full": (
        "Too many people are asking at this moment, so your request was not taken. What you typed is still "
        "here: try again in a few seconds.",
        "Há gente demais pedindo neste momento, e seu pedido não foi aceito. O que você digitou continua "
        "aqui: tente de novo em alguns segundos.",
    ),
    "notice_queued": (
        "Many people are asking at this moment: your request is waiting for its turn, and nothing is lost.",
        "Muita gente está pedindo neste momento: seu pedido espera a vez, e nada se perdeu.",
    ),
    "notice_failed": (
        "Something went wrong on the server, and the answers below may be old. What you typed is still here: "
        "try again, or reload the page.",
        "Algo deu errado no servidor, e as respostas abaixo podem ser antigas. O que você digitou continua "
        "aqui: tente de novo ou recarregue a página.",
    ),
    "notice_kind": (
        "This kind of file cannot be read here, and it was not sent: choose a table in CSV or Parquet.",
        "Este tipo de arquivo não pode ser lido aqui, e ele não foi enviado: escolha uma tabela em CSV ou "
        "Parquet.",
    ),
    "notice_size": (
        "The file is larger than this page takes, and nothing of it was kept: split it, or save it as "
        "Parquet.",
        "O arquivo é maior do que esta página aceita, e nada dele foi guardado: divida-o ou salve-o em "
        "Parquet.",
    ),
    "notice_close": ("Close this message", "Fechar esta mensagem"),
    "notice_waiting": ("Waiting for the server\u2026", "Esperando o servidor\u2026"),
}
