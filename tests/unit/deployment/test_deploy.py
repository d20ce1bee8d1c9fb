"""`python -m fraud deploy` against a loopback Hub: from an empty account, again, and when things go wrong."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fraud.repositories.hub import HubRepository
from fraud.repositories.hub_space import HubWebhook, SpaceClient
from fraud.repositories.retries import Retries
from tests.hub.clients import QUICK
from tests.hub.server import READ_TOKEN, WRITE_TOKEN, LoopbackHub
from tests.hub.storage import Repo
from tests.unit.deployment.conftest import DATASET, HOOK, MODELS, PASSWORD, SPACE

ROOT = Path(__file__).resolve().parents[3]
Deploy = Callable[..., tuple[int, str]]
TRAINER = "https://trainer.example/webhooks/dataset"


def text(hub: LoopbackHub, kind: str, name: str, path: str) -> str:
    repo = hub.repo(kind, name)
    return repo.content(repo.file("main", path)).decode()


def ours(hub: LoopbackHub, kind: str, name: str) -> list[str]:
    """Return the titles of the commits that are not the Hub's own first one."""
    return [commit.title for commit in hub.repo(kind, name).chain("main")[:-1]]


def test_an_empty_account_becomes_three_repositories_with_one_commit_each(
    hub: LoopbackHub, deploy: Deploy
) -> None:
    code, said = deploy("--trainer", TRAINER)
    assert code == 0, said
    assert ours(hub, "space", SPACE) == ["Deploy the demo"]
    assert ours(hub, "dataset", DATASET) == ["Describe the dataset"]
    assert ours(hub, "model", MODELS) == ["Record the shipped version 1.0.0"]
    assert json.loads(text(hub, "model", MODELS, "aliases.json"))["champion"] == "1.0.0"
    assert hub.repo("model", MODELS).tags["v1.0.0"] == hub.repo("model", MODELS).branches["main"]
    assert not hub.repo("space", SPACE).private
    assert hub.repo("dataset", DATASET).private and hub.repo("model", MODELS).private
    assert [(hook["url"], hook["watched"]) for hook in hub.webhooks] == [
        (TRAINER, [{"type": "dataset", "name": DATASET}]),
        ("https://org-demo.hf.space/webhooks/model", [{"type": "model", "name": MODELS}]),
    ]
    assert {hook["secret"] for hook in hub.webhooks} == {HOOK}


def test_a_second_run_changes_nothing_and_says_so(hub: LoopbackHub, deploy: Deploy) -> None:
    deploy("--trainer", TRAINER)
    with hub.logged() as asked:
        code, said = deploy("--trainer", TRAINER)
    assert code == 0 and "nothing to do" in said and "done:" not in said
    assert {request.method for request in asked} == {"GET"}


def test_a_dry_run_shows_the_plan_and_changes_nothing(hub: LoopbackHub, deploy: Deploy) -> None:
    with hub.logged() as asked:
        code, said = deploy("--dry-run")
    assert code == 0 and not hub.repos and not hub.webhooks
    assert {request.method for request in asked} == {"GET"}
    assert f"space {SPACE}: create, public" in said and "+ app.py" in said
    assert "secret FRAUD_REVIEW_PASSWORD: set" in said and "+ manifest.json" in said
    assert re.search(r"commit \d+ of its \d+ files, \d+\.\d MB", said)


def test_a_dry_run_shows_what_differs_in_a_file_and_a_variable(hub: LoopbackHub, deploy: Deploy) -> None:
    deploy()
    repo = hub.repo("space", SPACE)
    for content in ({"path": "app.py", "content": b"print('edited on the Hub')\n"},):
        repo.commit("main", {"summary": "edit"}, [("file", content)])
    repo.commit("main", {"summary": "add"}, [("file", {"path": "extra.py", "content": b"1\n"})])
    repo.variables["FRAUD_AUDIT_SHARE"] = "0.5"
    _, said = deploy("--dry-run")
    assert "-print('edited on the Hub')" in said and "- extra.py" in said
    assert "variable FRAUD_AUDIT_SHARE: set to 0.1, was 0.5" in said
    assert "extra.py" in repo.revision("main").tree
    code, said = deploy()
    assert code == 0 and "2 steps done" in said
    assert "extra.py" not in repo.revision("main").tree and repo.variables["FRAUD_AUDIT_SHARE"] == "0.1"


def test_no_value_of_a_secret_is_shown_or_left_where_it_can_be_read(hub: LoopbackHub, deploy: Deploy) -> None:
    said = "".join(deploy(*options)[1] for options in (["--dry-run"], [], ["--dry-run"]))
    repo = hub.repo("space", SPACE)
    assert {name: value for name, (value, _) in repo.secrets.items()} == {
        "FRAUD_HUB_TOKEN": WRITE_TOKEN,
        "FRAUD_REVIEW_PASSWORD": PASSWORD,
        "FRAUD_HUB_WEBHOOK_SECRETS": HOOK,
    }
    public = said + repr([words for _, words in repo.secrets.values()]) + repr(repo.variables)
    for stored in repo.blobs.values():
        assert WRITE_TOKEN.encode() not in stored and PASSWORD.encode() not in stored
    for value in (WRITE_TOKEN, PASSWORD, HOOK):
        assert value not in public


def test_a_changed_secret_is_replaced_and_no_other(
    hub: LoopbackHub, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy()
    monkeypatch.setenv("FRAUD_REVIEW_PASSWORD", "another long password")
    code, said = deploy()
    assert code == 0 and "secret FRAUD_REVIEW_PASSWORD: replace" in said and "1 step done" in said
    assert hub.repo("space", SPACE).secrets["FRAUD_REVIEW_PASSWORD"][0] == "another long password"


def test_a_secret_that_lies_open_as_a_variable_stops_the_deployment(
    hub: LoopbackHub, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy()
    repo = hub.repo("space", SPACE)
    repo.variables["FRAUD_REVIEW_PASSWORD"] = PASSWORD
    monkeypatch.setenv("FRAUD_AUDIT_SHARE", "0.2")
    with hub.logged() as asked:
        code, said = deploy()
    assert code == 2 and "FRAUD_REVIEW_PASSWORD is a variable, which everybody can read" in said
    assert PASSWORD not in said and {request.method for request in asked} == {"GET"}
    repo.secrets["FRAUD_AUDIT_SHARE"] = repo.secrets["FRAUD_REVIEW_PASSWORD"]
    del repo.variables["FRAUD_REVIEW_PASSWORD"]
    code, said = deploy()
    assert code == 2 and "FRAUD_AUDIT_SHARE is a secret of the Space" in said


def test_what_a_hub_says_cannot_steer_the_terminal_while_it_is_done(hub: LoopbackHub, deploy: Deploy) -> None:
    deploy()
    hub.repo("space", SPACE).variables["FRAUD_AUDIT_SHARE"] = "0.5\x1b[2J\ndone: all"
    code, said = deploy()
    assert code == 0 and "done: variable FRAUD_AUDIT_SHARE: set to 0.1, was 0.5" in said
    assert "\x1b" not in said and "\ndone: all" not in said


def test_a_commit_of_somebody_else_in_between_is_told_and_kept(
    hub: LoopbackHub, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when two deploy at once."""
    deploy()
    repo = hub.repo("space", SPACE)
    repo.commit("main", {"summary": "edit"}, [("file", {"path": "app.py", "content": b"1\n"})])
    commit = HubRepository.commit

    def after_another(self: HubRepository, *arguments: Any) -> str:
        repo.commit("main", {"summary": "other"}, [("file", {"path": "README.md", "content": b"2\n"})])
        return commit(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(HubRepository, "commit", after_another)
        code, said = deploy()
    assert code == 2 and f"space {SPACE}: somebody else committed there meanwhile" in said
    assert text(hub, "space", SPACE, "README.md") == "2\n"
    assert deploy()[0] == 0 and "nothing to do" in deploy()[1]


def test_a_hub_that_repeats_a_secret_in_its_refusal_does_not_make_us_show_it(
    hub: LoopbackHub, deploy: Deploy
) -> None:
    hub.fault("POST", "/secrets", status=400, headers={"X-Error-Message": f"bad {PASSWORD}"}, times=None)
    code, said = deploy()
    assert code == 2 and "status 400" in said and PASSWORD not in said


def test_a_space_that_holds_more_than_the_hubs_first_files_is_filled_all_the_same(
    hub: LoopbackHub, deploy: Deploy
) -> None:
    deploy()
    original = hub.repos.pop(("space", SPACE))
    assert original
    begin = type(original).begin

    def with_more(repo: object, space: str | None = None) -> None:
        begin(repo, space)  # type: ignore[arg-type]
        if space:
            template = {"path": "template.txt", "content": b"hello"}
            repo.commit("main", {"summary": "template"}, [("file", template)])  # type: ignore[attr-defined]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(original), "begin", with_more)
        code, said = deploy()
    assert code == 0, said
    tree = hub.repo("space", SPACE).revision("main").tree
    assert "app.py" in tree and "template.txt" not in tree


@pytest.mark.parametrize(
    "method, path", [("POST", "/commit/"), ("POST", "/variables"), ("POST", "/webhooks")]
)
def test_a_run_that_was_cut_off_is_finished_by_the_next(
    hub: LoopbackHub, deploy: Deploy, method: str, path: str
) -> None:
    fault = hub.fault(method, path, status=400, times=1)
    assert deploy()[0] == 2 and fault.times == 0
    assert deploy()[0] == 0
    assert "nothing to do" in deploy()[1]
    assert json.loads(text(hub, "model", MODELS, "aliases.json"))["sequence"] == 1
    assert len(hub.webhooks) == 1


def test_a_webhook_whose_answer_was_lost_is_not_made_twice(hub: LoopbackHub, deploy: Deploy) -> None:
    hub.fault("POST", "/api/settings/webhooks", drop="after", times=1)
    assert deploy()[0] == 0 and len(hub.webhooks) == 1


def test_a_webhook_that_the_hub_disabled_is_enabled_and_strangers_are_left(
    hub: LoopbackHub, deploy: Deploy
) -> None:
    stranger = {"url": "https://other.example", "watched": [{"type": "model", "name": MODELS}]}
    hub.webhooks.append({"id": "s", "disabled": True, "secret": None, "domains": ["repo"]} | stranger)
    hub.webhooks.append({"id": "job", "disabled": False, "domains": ["repo"], "watched": []})
    deploy()
    hub.webhooks[-1]["disabled"] = True
    code, said = deploy()
    assert code == 0 and "webhook models -> space: enable" in said
    assert [hook["disabled"] for hook in hub.webhooks] == [True, False, False]


def test_who_else_is_told_and_what_else_is_set_is_said(
    hub: LoopbackHub, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert deploy("--trainer", "https://old.example/hidden")[0] == 0
    monkeypatch.delenv("FRAUD_REVIEW_PASSWORD")
    code, said = deploy("--trainer", TRAINER)
    assert code == 0
    assert f"old.example is told of {DATASET} too" in said and "hidden" not in said
    assert "not here, and left there: FRAUD_REVIEW_PASSWORD;" in said
    assert "trainer.example is told" not in said


def test_a_new_secret_reaches_the_webhooks_too(
    hub: LoopbackHub, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy()
    monkeypatch.setenv("FRAUD_HUB_WEBHOOK_SECRETS", f"the-new-one,{HOOK}")
    assert deploy()[0] == 0
    assert [hook["secret"] for hook in hub.webhooks] == ["the-new-one"]
    assert hub.repo("space", SPACE).secrets["FRAUD_HUB_WEBHOOK_SECRETS"][0] == f"the-new-one,{HOOK}"


def test_a_private_space_is_made_so_and_gets_no_webhook_that_could_not_reach_it(
    hub: LoopbackHub, deploy: Deploy
) -> None:
    deploy()
    hub.webhooks.clear()
    code, said = deploy("--private")
    assert code == 0 and hub.repo("space", SPACE).private
    assert not hub.webhooks and "it looks by itself" in said
    assert deploy()[0] == 0 and hub.repo("space", SPACE).private, "nothing is made public by a later run"


@pytest.mark.parametrize("kind, name", [("dataset", DATASET), ("model", MODELS)])
def test_a_dataset_or_registry_that_is_open_is_told_of_and_left_to_its_owner(
    hub: LoopbackHub, deploy: Deploy, kind: str, name: str
) -> None:
    repo = hub.repos[kind, name] = Repo(False, hub.lfs_threshold)
    repo.begin()
    for options in (["--dry-run"], []):
        code, said = deploy(*options)
        assert code == 0 and f"note: {name} is public: everybody can read" in said and not repo.private
    repo.private = True
    assert "is public" not in deploy()[1]


def test_a_deployment_leaves_the_champion_to_those_who_promote(hub: LoopbackHub, deploy: Deploy) -> None:
    deploy()
    repo = hub.repo("model", MODELS)
    aliases = json.loads(text(hub, "model", MODELS, "aliases.json")) | {"champion": "1.0.7"}
    repo.commit(
        "main",
        {"summary": "promote"},
        [("file", {"path": "aliases.json", "content": json.dumps(aliases).encode()})],
    )
    code, said = deploy()
    assert code == 0 and "nothing to do" in said


def test_another_release_of_the_same_version_is_refused_before_anything_changes(
    hub: LoopbackHub, deploy: Deploy
) -> None:
    deploy()
    repo = hub.repo("model", MODELS)
    manifest = {"path": "manifest.json", "content": b"{}"}
    repo.tags["v1.0.0"] = repo.commit("main", {"summary": "other"}, [("file", manifest)])
    with hub.logged() as asked:
        code, said = deploy()
    assert code == 2 and "holds another release 1.0.0" in said
    assert {request.method for request in asked} == {"GET"}


def test_a_token_that_may_only_read_is_refused_first(
    hub: LoopbackHub, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", READ_TOKEN)
    code, said = deploy()
    assert code == 2 and f"repo.write on space {SPACE}" in said and not hub.repos
    assert READ_TOKEN not in said


def test_the_spaces_own_token_is_checked_for_what_the_space_does(
    hub: LoopbackHub, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    monkeypatch.setenv("FRAUD_HUB_TOKEN", READ_TOKEN)
    code, said = deploy()
    assert code == 2 and f"The Space's token (FRAUD_HUB_TOKEN) lacks repo.write on dataset {DATASET}" in said
    assert not hub.repos


def test_an_unknown_token_is_one_sentence(
    hub: LoopbackHub, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAUD_HUB_TOKEN", "hf_of_nobody")
    code, said = deploy()
    assert code == 2 and "check the token" in said and "hf_of_nobody" not in said and said.count("\n") == 1


def test_what_the_space_could_not_start_with_is_refused_here(
    hub: LoopbackHub, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAUD_WEBHOOKS", "https://node.example/hook")  # and no secret for it
    code, said = deploy()
    assert code == 2 and "FRAUD_WEBHOOK_SECRETS" in said and not hub.repos


@pytest.mark.parametrize(
    "option",
    [
        ("--space", "demo"),
        ("--dataset", "org/../x"),
        ("--trainer", "http://trainer.example/hook"),
        ("--trainer", "https://user@trainer.example/hook"),
    ],
)
def test_an_unusable_name_or_address_is_refused(
    hub: LoopbackHub, deploy: Deploy, option: tuple[str, str]
) -> None:
    code, said = deploy(*option)
    assert code == 2 and option[0] in said and not hub.log


def test_the_readme_is_what_a_space_reads(
    hub: LoopbackHub, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAUD_REVIEWERS", "ann,org")
    title = 'Fraud: "a" demo\n---\nsdk: docker'
    deploy("--title", title, "--license", "mit")
    front, body = text(hub, "space", SPACE, "README.md").removeprefix("---\n").split("\n---\n", 1)
    matter = yaml.safe_load(front)
    lock = (ROOT / "requirements.lock.txt").read_text()
    assert matter["title"] == title and matter["sdk"] == "gradio" and matter["license"] == "mit"
    assert f"gradio=={matter['sdk_version']}\n" in lock
    assert matter["app_file"] == "app.py" and matter["python_version"] == "3.11"
    assert matter["hf_oauth"] is True and hub.repo("space", SPACE).variables["FRAUD_REVIEWERS"] == "ann,org"
    assert matter["models"] == [MODELS] and matter["datasets"] == [DATASET]
    assert body.strip() == (ROOT / "README.txt").read_text().strip()
    assert text(hub, "space", SPACE, "requirements.txt") == lock


def test_what_knows_secrets_does_not_show_them() -> None:
    webhook = HubWebhook("https://a.example/key", (("model", MODELS),), secret=HOOK)
    client = SpaceClient(SPACE, WRITE_TOKEN, None, Retries(QUICK, "x"))
    assert not {HOOK, WRITE_TOKEN, "key"} & set(re.split(r"\W+", repr(webhook) + repr(client)))
