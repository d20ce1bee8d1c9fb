"""The Versions tab: what serves since when, every version, two side by side, and a maintainer's decision."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from fraud.errors import FraudError
from fraud.models.difference import compare_releases
from fraud.release_history import Timeline
from fraud.releasing import Moved
from fraud.service import FraudService
from fraud.ui import versions_diff_html as diff
from fraud.ui import versions_html as words
from fraud.ui.access import Login, ReviewAccess
from fraud.ui.flagging import alert_html
from fraud.ui.language import Localised
from fraud.ui.texts import error_text, text
from fraud.ui.versions_choices import choice, first_pair, mark, meant
from fraud.ui.versions_timeline_html import timeline_html
from fraud.ui.widgets import text_button, text_dropdown, text_field

_POLL_SECONDS = 5.0
_ANONYMOUS = "maintainer"
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_SIGN_IN = "/login/huggingface?_target_url=%2F%3Ftab%3Dversions"
_SIGN_OUT = "/logout?_target_url=%2F%3Ftab%3Dversions"
_TO_TYPING = (
    "() => setTimeout(() => (document.querySelector('#versions-typed input:not([disabled])')"
    " ?? document.querySelector('#versions-confirm'))?.focus(), 150)"
)
_EVENTS = {"promote": "model.promoted", "rollback": "model.rolled_back"}


class VersionsTab:
    """Draws itself inside the current Blocks context and wires its events.

    Everybody may look. Who may decide is asked anew by every handler, as in the Review tab, whose token this
    tab shares. A decision is proposed, then confirmed by typing the version; the proposal stays on the server
    and holds the registry's `sequence`, so that what is confirmed is what was on the screen. Which pair is
    compared is kept beside the two dropdowns: after a restart of the server Gradio refuses their values, and
    the tab must come back by itself.
    """

    def __init__(
        self,
        service: FraudService,
        localised: Localised,
        language: Any,
        tab: gr.Tab,
        access: ReviewAccess,
        token: gr.State,
    ) -> None:
        self._service = service
        self._language = language
        self._access = access
        self._token = token
        self._drawn, self._proposal, self._pair = gr.State({}), gr.State({}), gr.State(())
        self._draw(localised)
        self._wire(tab)

    # What is on the page

    def _draw(self, localised: Localised) -> None:
        self._lead = gr.HTML(elem_id="versions-lead")
        with gr.Row(elem_classes=["halves", "versions-top"]):
            with gr.Column(min_width=280, elem_classes=["versions-left"]):
                self._serving = gr.HTML(elem_id="versions-serving")
                with gr.Column(elem_classes=["sheet"], elem_id="versions-decide"):
                    self._draw_decision(localised)
            with gr.Column(
                elem_classes=["sheet", "monitoring"], min_width=280, elem_id="versions-challenger"
            ):
                self._waiting = gr.HTML(elem_id="versions-waiting")
        with gr.Column(elem_classes=["sheet", "monitoring"]):
            self._timeline = gr.HTML(elem_id="versions-timeline")
        with gr.Column(elem_classes=["sheet", "monitoring"], elem_id="versions-compare"):
            self._draw_comparison(localised)
        self._timer = gr.Timer(_POLL_SECONDS, active=False)

    def _draw_decision(self, localised: Localised) -> None:
        localised.make(gr.HTML, lambda chosen: {"value": f"<h3>{text('versions_decide', chosen)}</h3>"})
        self._said = gr.HTML(elem_id="versions-said")
        with gr.Column(visible=False, elem_classes=["actions"]) as self._actions:
            with gr.Row(elem_classes=["chips", "picks"]):
                self._approve = gr.Button(visible=False, variant="primary", elem_id="versions-approve")
                self._reject = gr.Button(visible=False, elem_id="versions-reject")
                self._rollback = gr.Button(visible=False, elem_id="versions-rollback")
            with gr.Row(visible=False, elem_classes=["choose"]) as self._choose:
                self._chosen = text_dropdown(localised, "versions_choose", elem_id="versions-chosen")
                self._promote = text_button(
                    localised, "versions_promote_chosen", scale=0, min_width=140, elem_id="versions-promote"
                )
            self._nothing = gr.HTML(visible=False)
            self._log_out = text_button(localised, "review_log_out", size="sm", elem_classes=["narrow"])
            self._sign_out = text_button(
                localised, "review_log_out", size="sm", elem_classes=["narrow"], link=_SIGN_OUT, visible=False
            )
        self._draw_confirmation(localised)
        self._draw_login(localised)

    def _draw_confirmation(self, localised: Localised) -> None:
        with gr.Column(visible=False, elem_classes=["sure"], elem_id="versions-sure") as self._sure:
            self._sure_words = gr.HTML()
            self._typed = gr.Textbox(max_lines=1, elem_id="versions-typed", elem_classes=["field"])
            with gr.Row(elem_classes=["verdicts", "findings"]):
                self._cancel = text_button(localised, "versions_cancel", elem_id="versions-cancel")
                self._confirm = gr.Button(variant="primary", elem_id="versions-confirm")

    def _draw_login(self, localised: Localised) -> None:
        by_password, by_account = self._access.possible, self._access.by_account
        key = "versions_locked" if by_password or by_account else "versions_unset"
        with gr.Column(elem_classes=["maintainers"], visible=self._service.decides) as self._gate:
            localised.make(
                gr.HTML,
                lambda chosen: {"value": f'<p class="quiet">{text(key, chosen)}</p>'},
            )
            text_button(
                localised, "review_sign_in", link=_SIGN_IN, visible=by_account, elem_classes=["narrow"],
                elem_id="versions-sign-in",
            )  # fmt: skip
            with gr.Row(visible=by_password, elem_classes=["login-row"]):
                self._name = text_field(localised, "review_name", elem_id="versions-name")
                self._password = text_field(
                    localised, "review_password", type="password", elem_id="versions-password"
                )
                self._log_in = text_button(
                    localised, "review_log_in", scale=0, min_width=90, elem_id="versions-log-in"
                )

    def _draw_comparison(self, localised: Localised) -> None:
        localised.make(gr.HTML, lambda chosen: {"value": f"<h3>{text('versions_compare', chosen)}</h3>"})
        with gr.Row(elem_classes=["choose"], visible=False) as self._sides:
            self._old = text_dropdown(localised, "versions_compare_old", elem_id="versions-old")
            self._new = text_dropdown(localised, "versions_compare_new", elem_id="versions-new")
        self._difference = gr.HTML(elem_id="versions-difference")

    @property
    def outputs(self) -> list[Any]:
        """Every component that the handlers may change."""
        return [
            self._token, self._drawn, self._proposal, self._pair, self._lead, self._serving, self._waiting,
            self._said, self._actions, self._approve, self._reject, self._rollback, self._choose,
            self._chosen,
            self._nothing, self._log_out, self._sign_out, self._sure, self._sure_words, self._typed,
            self._confirm, self._gate, self._password, self._timeline, self._sides, self._old, self._new,
            self._difference, self._timer,
        ]  # fmt: skip

    # What happens

    def _wire(self, tab: gr.Tab) -> None:
        chosen, outputs = self._language, self.outputs
        state = [chosen, self._token, self._drawn, self._pair]
        tab.select(self.look, state, outputs, **_QUIET)
        self._timer.tick(self.look, state, outputs, **_QUIET)
        chosen.input(self._look_anew, state, outputs, **_QUIET)
        for side in (self._old, self._new):
            side.input(
                self._compare, [chosen, self._old, self._new], [self._pair, self._difference], **_QUIET
            )
        for trigger in (self._log_in.click, self._password.submit):
            trigger(self._enter, [*state, self._name, self._password], outputs, **_QUIET)
        self._log_out.click(self._leave, state, outputs, **_QUIET)
        for button, action in (
            (self._approve, "approve"), (self._reject, "reject"), (self._rollback, "rollback"),
            (self._promote, "promote"),
        ):  # fmt: skip
            proposed = button.click(
                self._proposer(action), [chosen, self._token, self._chosen], outputs, **_QUIET
            )
            proposed.then(None, js=_TO_TYPING)
        for confirmed in (self._confirm.click, self._typed.submit):
            confirmed(self._decide, [*state, self._proposal, self._typed], outputs, **_QUIET)
        self._cancel.click(self._cancelled, [self._token], outputs, **_QUIET)

    def look(
        self,
        language: str,
        token: str,
        drawn: Mapping[str, str],
        pair: Sequence[str],
        account: gr.OAuthProfile | None = None,
    ) -> dict[Any, Any]:
        """Return the updates of whatever is not on the page yet."""
        return self._view(language, self._login(token, account), drawn, pair)

    def _look_anew(
        self, language: str, token: str, drawn: Mapping[str, str], pair: Sequence[str],
        account: gr.OAuthProfile | None = None,
    ) -> dict[Any, Any]:  # fmt: skip
        """Return what `look` does; a sentence in the language before is not left on the page."""
        closed = self._closed(open_=self._login(token, account) is not None)
        return closed | {self._said: ""} | self.look(language, token, drawn, pair, account)

    def _compare(self, language: str, old: object, new: object) -> dict[Any, Any]:
        """Return the updates that compare two chosen versions."""
        pair = (str(old), str(new))
        timeline = self._service.history.timeline()
        return {self._pair: pair, self._difference: self._compared(timeline, pair, language)}

    def _enter(
        self, language: str, token: str, drawn: Mapping[str, str], pair: Sequence[str],
        name: str, password: str, request: gr.Request,
    ) -> dict[Any, Any]:  # fmt: skip
        address = request.client.host if request.client else ""
        try:
            token = self._access.log_in(password or "", name or "", request.session_hash or "", address)
        except FraudError as error:
            return {self._said: self._alert(error, language), self._password: ""}
        said = {self._token: token, self._password: "", self._said: ""}
        return said | self._view(language, self._login(token, None), drawn, pair)

    def _leave(
        self, language: str, token: str, drawn: Mapping[str, str], pair: Sequence[str]
    ) -> dict[Any, Any]:
        # The token stays on the page, worth nothing: by it the Review tab learns that it is to close.
        self._access.log_out(token)
        return self._closed() | {self._said: ""} | self._view(language, None, drawn, pair)

    def _proposer(self, action: str) -> Callable[..., dict[Any, Any]]:
        def propose(
            language: str, token: str, chosen: object, account: gr.OAuthProfile | None = None
        ) -> dict[Any, Any]:
            try:
                self._access.login_of(token, account)
            except FraudError as error:
                return self._closed() | {self._said: self._alert(error, language)}
            timeline = self._service.history.timeline(fresh=True)
            version = meant(action, timeline, chosen)
            if version is None:
                key = "versions_no_longer" if action != "promote" or chosen else "versions_nothing_chosen"
                return self._closed(open_=True) | {self._said: alert_html(text(key, language))}
            return self._asked("promote" if action == "approve" else action, version, timeline, language)

        return propose

    def _asked(self, action: str, version: str, timeline: Timeline, language: str) -> dict[Any, Any]:
        """Return the updates that say what a decision will do, and ask for it."""
        entry = timeline.entry(version)
        sure = words.sure_html(
            action,
            version,
            timeline.aliases.champion or self._service.model_version.version,
            self._service.listeners(_EVENTS[action]) if action in _EVENTS else (),
            language,
            judged=entry is None or entry.release.gate is not None,
        )
        return {
            self._proposal: {
                "action": action, "version": version, "sequence": timeline.aliases.sequence,
            },
            self._sure: gr.update(visible=True),
            self._actions: gr.update(visible=False),
            self._sure_words: sure,
            self._typed: gr.update(
                value="", visible=action != "reject", label=text("versions_type", language, version=version)
            ),
            self._confirm: gr.update(value=text(f"versions_confirm_{action}", language, version=version)),
            self._said: "",
        }  # fmt: skip

    def _cancelled(self, token: str, account: gr.OAuthProfile | None = None) -> dict[Any, Any]:
        open_ = self._login(token, account) is not None
        return self._closed(open_=open_) | {self._said: ""}

    def _decide(
        self, language: str, token: str, drawn: Mapping[str, str], pair: Sequence[str],
        proposal: Mapping[str, Any], typed: object, account: gr.OAuthProfile | None = None,
    ) -> dict[Any, Any]:  # fmt: skip
        try:
            login = self._access.login_of(token, account)
        except FraudError as error:
            return self._closed() | {self._said: self._alert(error, language)}
        action, version = str(proposal.get("action", "")), str(proposal.get("version", ""))
        if action not in ("promote", "rollback", "reject"):
            return self._closed(open_=True)  # nothing was proposed
        if action != "reject" and str(typed or "").strip() != version:
            return {self._said: alert_html(text("versions_mistyped", language, version=version))}
        try:
            said = self._carry_out(action, version, int(proposal["sequence"]), login, language)
        except FraudError as error:
            sentence = error_text(error, self._service.profile, language)
            said = alert_html(text("versions_unchanged", language), sentence)
        view = self._view(language, login, drawn, pair, fresh=True)
        return self._closed(open_=True) | view | {self._said: said}

    def _carry_out(self, action: str, version: str, sequence: int, login: Login, language: str) -> str:
        """Decide, and return what to say of it."""
        service, maintainer = self._service, login.reviewer or _ANONYMOUS
        done = text(f"versions_done_{action}", language, version=version)
        if action == "reject":
            service.reject(version, maintainer, expected=sequence)
            return words.done_html(done)
        if action == "promote":
            moved = service.promote(version, maintainer, expected=sequence)
        else:
            moved = service.rollback(maintainer, expected=sequence)
        if moved.aliases.champion != version:
            champion = moved.aliases.champion or ""
            return alert_html(text("versions_finished_first", language, champion=champion))
        return self._came_to(moved, done, language)

    def _came_to(self, moved: Moved, done: str, language: str) -> str:
        serving = self._service.model_version.version
        if serving != moved.aliases.champion:
            problem = self._service.model_problem or ""
            return alert_html(text("versions_not_here", language, serving=serving, problem=problem))
        if moved.problem is not None:
            untold = text("versions_done_untold", language, problem=moved.problem)
            return words.done_html(done) + alert_html(untold)
        told = [text("versions_done_told", language, names=", ".join(moved.told))] if moved.told else []
        return words.done_html(done, *told)

    # What is said

    def _login(self, token: object, account: gr.OAuthProfile | None) -> Login | None:
        try:
            return self._access.login_of(token, account)
        except FraudError:
            return None

    def _view(
        self, language: str, login: Login | None, drawn: Mapping[str, str], pair: Sequence[str],
        *, fresh: bool = False,
    ) -> dict[Any, Any]:  # fmt: skip
        """Return the updates of all parts that differ from what the page shows by `drawn`."""
        timeline = self._service.history.timeline(fresh=fresh)
        parts = self._parts(timeline, login, language) | self._compare_parts(timeline, pair, language)
        names = {str(part._id): part for part in parts}
        marks = {name: mark(parts[part]) for name, part in names.items()}
        changed = {part: parts[part] for name, part in names.items() if drawn.get(name) != marks[name]}
        return changed | {self._drawn: marks, self._timer: gr.update(active=True)}

    def _parts(self, timeline: Timeline, login: Login | None, language: str) -> dict[Any, Any]:
        try:
            standings = self._service.history.standings(timeline)
        except FraudError:
            standings = None
        return {
            self._lead: words.lead_html(timeline, language),
            self._serving: words.serving_html(timeline, standings, language),
            self._waiting: words.waiting_html(timeline, self._service.shadow_report(), language),
            self._timeline: timeline_html(timeline, self._service.history.refusal(), language),
            **self._action_parts(timeline, login, language),
        }

    def _action_parts(self, timeline: Timeline, login: Login | None, language: str) -> dict[Any, Any]:
        aliases, open_ = timeline.aliases, login is not None and self._service.decides
        buttons = {}
        for button, key in (
            (self._approve, "versions_approve"), (self._reject, "versions_reject"),
            (self._rollback, "versions_rollback"),
        ):  # fmt: skip
            action = key.removeprefix("versions_")
            version = meant(action, timeline, None) if open_ else None
            label = "" if version is None else text(key, language, version=version)
            buttons[button] = gr.update(value=label, visible=version is not None)
        others = [
            entry for entry in timeline.entries if open_ and entry.promotable and timeline.recorded
            and entry.version not in (aliases.challenger, aliases.previous)
        ]  # fmt: skip
        idle = open_ and not others and aliases.challenger is None and aliases.previous is None
        nothing = f'<p class="quiet">{text("versions_nothing_to_decide", language)}</p>'
        return buttons | {
            self._actions: gr.update(visible=open_),
            self._gate: gr.update(visible=not open_ and self._service.decides),
            self._choose: gr.update(visible=bool(others)),
            self._chosen: gr.update(choices=[choice(e, language) for e in others], value=None),
            self._nothing: gr.update(value=nothing, visible=idle),
            self._log_out: gr.update(visible=login is not None and login.account is None),
            self._sign_out: gr.update(visible=login is not None and login.account is not None),
        }

    def _compare_parts(self, timeline: Timeline, pair: Sequence[str], language: str) -> dict[Any, Any]:
        versions = [entry.version for entry in timeline.entries]
        known = len(pair) == 2 and set(pair) <= set(versions)
        chosen = (pair[0], pair[1]) if known else first_pair(timeline)
        choices = [choice(entry, language) for entry in timeline.entries]
        possible = len(versions) > 1
        return {
            self._sides: gr.update(visible=possible),
            self._old: gr.update(choices=choices, value=chosen[0]),
            self._new: gr.update(choices=choices, value=chosen[1]),
            self._difference: self._compared(timeline, chosen, language)
            if possible
            else diff.nothing_html("versions_compare_one", language),
        }

    def _compared(self, timeline: Timeline, pair: Sequence[str | None], language: str) -> str:
        sides = [timeline.entry(version) for version in pair]
        summaries = [None if entry is None else entry.release.summary for entry in sides]
        if pair[0] == pair[1]:
            return diff.nothing_html("versions_compare_same", language)
        if summaries[0] is None or summaries[1] is None:
            return diff.nothing_html("versions_compare_gone", language)
        return diff.difference_html(compare_releases(summaries[0], summaries[1]), language)

    def _closed(self, *, open_: bool = False) -> dict[Any, Any]:
        """Return the updates that take a proposal back; `open_` to whoever may make another."""
        return {
            self._proposal: {},
            self._sure: gr.update(visible=False),
            self._typed: "",
            self._actions: gr.update(visible=open_),
            self._gate: gr.update(visible=not open_ and self._service.decides),
        }

    def _alert(self, error: FraudError, language: str) -> str:
        return alert_html(error_text(error, self._service.profile, language))
