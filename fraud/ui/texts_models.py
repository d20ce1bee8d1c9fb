"""The texts of the Models tab, in English and Brazilian Portuguese side by side."""

from collections.abc import Mapping

MODELS_TEXTS: Mapping[str, tuple[str, str]] = {
    "tab_models": ("Compare", "Comparar"),
    "models_lead": (
        "How good is version {version}? Measured on {n} transactions of {days} days that came after "
        "everything it was trained on.",
        "Quão boa é a versão {version}? Medida em {n} transações de {days} dias posteriores a tudo em que "
        "ela foi treinada.",
    ),
    "models_lead_undated": (
        "How good is version {version}? Measured on {n} transactions kept apart from its training.",
        "Quão boa é a versão {version}? Medida em {n} transações mantidas fora do treino.",
    ),
    "models_missing": (
        "The held-out predictions of the version that serves cannot be shown: {why}",
        "As previsões de teste da versão em serviço não podem ser mostradas: {why}",
    ),
    "models_alone": (
        "The same figures as PNG files are in the release's resultados directory.",
        "As mesmas figuras, em PNG, estão no diretório resultados da versão.",
    ),
}
