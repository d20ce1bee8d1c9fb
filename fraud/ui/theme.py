"""The page's own look: ink on paper, system fonts, one accent for each model and none for the rest."""

from pathlib import Path

import gradio as gr

STYLESHEET = Path(__file__).with_name("style.css")
STYLESHEETS = [STYLESHEET, *(Path(__file__).with_name(f"{name}.css") for name in ("batch", "compare"))]
NOTICES_STYLE = Path(__file__).with_name("notices.css")
SCRIPTS = tuple(Path(__file__).with_name(f"{name}.js") for name in ("page", "compare"))
_INK, _INK_DARK = "#1f2430", "#e8eaf0"
_MUTED, _MUTED_DARK = "#565e6c", "#a5adbb"
_PAPER, _PAPER_DARK = "#f5f6f8", "#12151b"
_SHEET, _SHEET_DARK = "#ffffff", "#1a1e26"
_LINE, _LINE_DARK = "#d9dde4", "#323845"
_INPUT_LINE, _INPUT_LINE_DARK = "#8b93a1", "#667080"


def page_head() -> str:
    """Return what goes into the page's head: the scheme, and the page's own scripts."""
    script = "\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    notices = NOTICES_STYLE.read_text(encoding="utf-8")
    scheme = '<meta name="color-scheme" content="light dark">'
    return f"{scheme}\n<style>\n{notices}</style>\n<script>\n{script}</script>"


def page_theme() -> gr.themes.Base:
    """Return the theme. Fonts are the visitor's own; nothing is fetched."""
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.slate,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_sm,
        font=("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"),
        font_mono=("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"),
    )
    return theme.set(
        body_background_fill=_PAPER,
        body_background_fill_dark=_PAPER_DARK,
        background_fill_primary=_SHEET,
        background_fill_primary_dark=_SHEET_DARK,
        background_fill_secondary=_PAPER,
        background_fill_secondary_dark=_PAPER_DARK,
        body_text_color=_INK,
        body_text_color_dark=_INK_DARK,
        body_text_color_subdued=_MUTED,
        body_text_color_subdued_dark=_MUTED_DARK,
        border_color_primary=_LINE,
        border_color_primary_dark=_LINE_DARK,
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_border_width_dark="0px",
        block_shadow="none",
        block_shadow_dark="none",
        block_padding="0px",
        block_label_text_color=_INK,
        block_label_text_color_dark=_INK_DARK,
        block_title_text_color=_INK,
        block_title_text_color_dark=_INK_DARK,
        block_title_text_size="13px",
        block_title_text_weight="600",
        block_info_text_color=_MUTED,
        block_info_text_color_dark=_MUTED_DARK,
        block_info_text_size="12.5px",
        input_background_fill=_SHEET,
        input_background_fill_dark=_PAPER_DARK,
        input_border_color=_INPUT_LINE,
        input_border_color_dark=_INPUT_LINE_DARK,
        input_border_color_focus=_INK,
        input_border_color_focus_dark=_INK_DARK,
        input_border_width="1px",
        input_shadow="none",
        input_shadow_focus="none",
        input_padding="8px 10px",
        input_text_size="14px",
        input_placeholder_color=_MUTED,
        input_placeholder_color_dark=_MUTED_DARK,
        form_gap_width="0px",
        layout_gap="16px",
        button_primary_background_fill=_INK,
        button_primary_background_fill_dark=_INK_DARK,
        button_primary_background_fill_hover="#3a4152",
        button_primary_background_fill_hover_dark="#ffffff",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark=_INK,
        button_primary_border_color=_INK,
        button_primary_border_color_dark=_INK_DARK,
        button_secondary_background_fill=_SHEET,
        button_secondary_background_fill_dark=_SHEET_DARK,
        button_secondary_background_fill_hover=_PAPER,
        button_secondary_background_fill_hover_dark="#262c37",
        button_secondary_text_color=_INK,
        button_secondary_text_color_dark=_INK_DARK,
        button_secondary_border_color=_INPUT_LINE,
        button_secondary_border_color_dark=_INPUT_LINE_DARK,
        button_border_width="1px",
        button_large_text_size="15px",
        button_transform_hover="none",
        checkbox_background_color_selected=_INK,
        checkbox_background_color_selected_dark="#5b82ab",
        checkbox_border_color=_INPUT_LINE,
        checkbox_border_color_dark=_INPUT_LINE_DARK,
        checkbox_label_background_fill="transparent",
        checkbox_label_background_fill_dark="transparent",
        checkbox_label_background_fill_selected="transparent",
        checkbox_label_background_fill_selected_dark="transparent",
        checkbox_label_text_color=_INK,
        checkbox_label_text_color_dark=_INK_DARK,
        checkbox_label_text_color_selected=_INK,
        checkbox_label_text_color_selected_dark=_INK_DARK,
        checkbox_label_shadow="none",
    )
