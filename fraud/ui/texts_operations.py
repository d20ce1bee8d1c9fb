"""What the page says when the process is hard pressed, in English and Brazilian Portuguese side by side."""

from collections.abc import Mapping

OPERATIONS_TEXTS: Mapping[str, tuple[str, str]] = {
    "backlog_slow": (
        "Answers are taken and kept safely on this server, but cannot join the feedback dataset right now. "
        "Waiting: {n}. They will join it by themselves.",
        "As respostas são aceitas e guardadas em segurança neste servidor, mas agora não conseguem entrar no "
        "conjunto de dados. Na espera: {n}. Elas entrarão sozinhas.",
    ),
    "backlog_near": (
        "Answers are taken and kept safely on this server, but they come in faster than they join the "
        "feedback dataset. Waiting: {n} of at most {limit}.",
        "As respostas são aceitas e guardadas em segurança neste servidor, mas chegam mais depressa do que "
        "entram no conjunto de dados. Na espera: {n} de no máximo {limit}.",
    ),
    "backlog_full": (
        "No more answers are taken right now: {n} are kept here and wait to join the feedback dataset. "
        "Scoring goes on; try to answer again in a few minutes.",
        "No momento não são aceitas mais respostas: {n} estão guardadas aqui e esperam para entrar no "
        "conjunto de dados. Pontuar continua possível; tente responder de novo em alguns minutos.",
    ),
    "error_lookups_limited": (
        "Too many receipts that this server did not give were asked for from here; wait {seconds} seconds "
        "and try again.",
        "Daqui foram pedidos recibos demais que este servidor não emitiu; espere {seconds} segundos e tente "
        "de novo.",
    ),
}
