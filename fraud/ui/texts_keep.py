"""The texts of the consent to keep what is scored, in English and Brazilian Portuguese side by side."""

from collections.abc import Mapping

KEEP_TEXTS: Mapping[str, tuple[str, str]] = {
    "keep": (
        "Keep what I score to watch the models",
        "Guardar o que eu pontuo para vigiar os modelos",
    ),
    "keep_detail": (
        "While this is ticked, each transaction is kept when you press the button: as you entered it, with "
        "both models' scores and the model version, even if you do not answer. Nothing about you is kept "
        "with it. The dataset may be published. Each has a receipt, with which you can take it back.",
        "Enquanto isto estiver marcado, cada transação é guardada quando você aperta o botão: como foi "
        "digitada, com as notas dos dois modelos e a versão do modelo, mesmo sem resposta sua. Nada sobre "
        "você é guardado com ela. O conjunto de dados pode ser publicado. Cada uma tem um recibo, com o qual "
        "você pode retirá-la.",
    ),
    "kept": (
        "Kept to watch the models. Receipt {receipt}",
        "Guardada para vigiar os modelos. Recibo {receipt}",
    ),
}
