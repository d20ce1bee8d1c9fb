"""The texts of the first minute and of what-if, in English and Brazilian Portuguese side by side."""

from collections.abc import Mapping

SCORE_TEXTS: Mapping[str, tuple[str, str]] = {
    "recalled": (
        "What you had typed before the page was reloaded is back.",
        "O que você tinha digitado antes de a página recarregar voltou.",
    ),
    "tour_start": ("Take the tour", "Fazer o tour"),
    "tour_next": ("Next", "Próximo"),
    "tour_back": ("Back", "Voltar"),
    "tour_close": ("Close", "Fechar"),
    "tour_done": ("Done", "Concluir"),
    "tour_1_label": ("Answers", "Respostas"),
    "tour_2_label": ("Reasons", "Razões"),
    "tour_3_label": ("Try", "Tente"),
    "tour_4_label": ("Teach", "Ensine"),
    "tour_1_title": ("Two models, one transaction", "Dois modelos, uma transação"),
    "tour_1": (
        "Each says how probable fraud is. The scale shows where that lies: below the first mark it approves, "
        "above the second it declines, and in between a person should look.",
        "Cada um diz a probabilidade de fraude. A escala mostra onde ela fica: abaixo da primeira marca, "
        "aprova; acima da segunda, recusa; entre as duas, uma pessoa deve olhar.",
    ),
    "tour_2_title": ("Why each of them says so", "Por que cada um diz isso"),
    "tour_2": (
        "The facts that weighed most, largest first. Coloured bars, to the right, speak for fraud; grey "
        "ones, to the left, against it.",
        "Os fatos que mais pesaram, do maior para o menor. Barras coloridas, à direita, apontam para fraude; "
        "as cinzas, à esquerda, contra.",
    ),
    "tour_3_title": ("Try another, or change one thing", "Tente outra, ou mude uma coisa"),
    "tour_3": (
        "Start from an example of each kind of fraud, edit any field and press the button, or see below how "
        "both answers move with a single field.",
        "Comece por um exemplo de cada tipo de fraude, edite qualquer campo e aperte o botão, ou veja abaixo "
        "como as duas respostas mudam com um só campo.",
    ),
    "tour_4_title": ("Tell them when they are wrong", "Avise quando errarem"),
    "tour_4": (
        "One click says right or wrong. With your consent it is kept, reviewed, and used to train the next "
        "version; a receipt lets you follow it, and take it back.",
        "Um clique diz certo ou errado. Com o seu consentimento, a resposta é guardada, revisada e usada no "
        "treino da próxima versão; um recibo permite acompanhar, e retirar.",
    ),
    "what_if": ("What if one thing were different?", "E se uma coisa fosse diferente?"),
    "what_if_lead": (
        "Choose a field: both models score its other values, with everything else as it is.",
        "Escolha um campo: os dois modelos pontuam os outros valores dele, com todo o resto igual.",
    ),
    "what_if_field": ("What to change", "O que mudar"),
    "what_if_same": (
        "<b>{model}</b>: {decision} at every value ({low} to {high})",
        "<b>{model}</b>: {decision} em todos os valores ({low} a {high})",
    ),
    "what_if_steps": (
        "<b>{model}</b>: {steps} ({low} to {high})",
        "<b>{model}</b>: {steps} ({low} a {high})",
    ),
    "what_if_from": ("{decision} from {value}", "{decision} a partir de {value}"),
    "what_if_many": (
        "<b>{model}</b>: changes its decision {n} times ({low} to {high})",
        "<b>{model}</b>: muda de decisão {n} vezes ({low} a {high})",
    ),
    "what_if_cuts": (
        "{model} reviews from {review} and declines from {decline}",
        "{model} revisa a partir de {review} e recusa a partir de {decline}",
    ),
    "what_if_bands": (
        "The larger marks are this transaction. Each band is one decision, within each model's own "
        "thresholds: {cuts}.",
        "As marcas maiores são esta transação. Cada faixa é uma decisão, dentro dos limiares de cada modelo: "
        "{cuts}.",
    ),
}
