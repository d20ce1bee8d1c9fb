"""`python -m fraud promote | rollback | reject | versions | keys`: releases, and the keys that sign them.

Exit codes as in fraud.cli: 0 done or nothing to do, 2 an error.
"""

import argparse
import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fraud.settings import Settings

if TYPE_CHECKING:
    from fraud.registry import ModelRegistry, RegisteredVersion
    from fraud.releasing import Moved


def add_release_commands(commands: Any) -> None:
    """Add what decides about recorded versions."""
    promote = commands.add_parser("promote", help="make a recorded version the champion")
    promote.add_argument("version", nargs="?", help="default: the challenger")
    promote.set_defaults(run=_promote)
    commands.add_parser("rollback", help="return to the previous champion").set_defaults(run=_rollback)
    reject = commands.add_parser("reject", help="let a challenger wait no more; it stays recorded")
    reject.add_argument("version", nargs="?", help="default: the challenger")
    reject.set_defaults(run=_reject)
    versions = commands.add_parser("versions", help="list recorded versions")
    versions.add_argument("--shadow", action="store_true", help="what scoring beside the champion has shown")
    versions.add_argument("--decisions", action="store_true", help="who promoted what, newest first")
    versions.set_defaults(run=_versions)
    keys = commands.add_parser("keys", help="make and show the keys that sign releases")
    actions = keys.add_subparsers(required=True, metavar="action")
    new = actions.add_parser("new", help="make a key; prints the secret once, and keeps it nowhere")
    new.set_defaults(run=_keys_new)
    show = actions.add_parser("show", help="print the public key of FRAUD_SIGNING_KEY, and who is trusted")
    show.set_defaults(run=_keys_show)


def moved_lines(moved: "Moved | None", version: str) -> list[str]:
    """Return what to print of a promotion or rollback; `moved` is None where a challenger waits."""
    if moved is None:
        return [
            f"{version} is waiting for approval: `python -m fraud promote {version}` or `reject {version}`, "
            "or a maintainer's click (--promote or FRAUD_APPROVAL=automatic would have promoted it)"
        ]
    lines = [f"promoted {version}" if moved.changed else f"{version} is the champion already"]
    return lines + _told(moved)


def _told(moved: "Moved") -> list[str]:
    if moved.problem is not None:
        return [f"the nodes were not told: {moved.problem}"]
    return [f"told: {', '.join(moved.told)}"] if moved.told else []


def _who(settings: Settings) -> str:
    return f"cli@{settings.feedback.node}"


def _promote(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.wiring import release_desk

    moved = release_desk(settings).promote(options.version, who=_who(settings))
    print(*moved_lines(moved, str(moved.aliases.champion)), sep="\n")


def _rollback(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.wiring import release_desk

    moved = release_desk(settings).rollback(who=_who(settings))
    print(f"rolled back to {moved.aliases.champion}", *_told(moved), sep="\n")


def _reject(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.errors import NotFound
    from fraud.wiring import release_desk

    desk = release_desk(settings)
    version = options.version or desk.registry.aliases().challenger
    if version is None:
        raise NotFound("There is no challenger to reject.", code="no_challenger")
    desk.reject(version, who=_who(settings))
    print(f"rejected {version}; it stays recorded")


def _versions(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.models.bundle import read_manifest, read_signature
    from fraud.models.signing import claimed_key
    from fraud.wiring import model_registry

    registry = model_registry(settings)
    versions = registry.versions()
    for version in versions:
        signed = _signed(registry.signed_by(version.revision), _is_trusted(registry, version))
        print(_version_line(version.manifest, signed, version.roles))
    if not versions:
        manifest, _ = read_manifest(settings.models.artifacts)
        signed_by = claimed_key(read_signature(settings.models.artifacts))
        print(_version_line(manifest, _signed(signed_by, None), ("champion", "shipped")))
    if options.decisions:
        for d in registry.decisions():
            print(f"{d.sequence:>4}  {d.at}  {d.action}  {d.version or '-'}  {d.who or '-'}")
    if options.shadow:
        _print_shadow(settings)


def _print_shadow(settings: Settings) -> None:
    from fraud.serving.shadow_report import read_reports, report_lines

    reports = read_reports(settings.feedback.directory)
    for report in reports:
        print(*report_lines(report), sep="\n")
    if not reports:
        print("no shadow report; FRAUD_SHADOW=1 makes the demo score with a waiting challenger")


def _is_trusted(registry: "ModelRegistry", version: "RegisteredVersion") -> bool | None:
    from fraud.errors import BundleRefused

    if not registry.trusted.required:
        return None
    try:
        registry.require_trusted(version.revision)
    except BundleRefused:
        return False
    return True


def _signed(key: str | None, trusted: bool | None) -> str:
    if key is None:
        return "unsigned" if trusted is None else "unsigned, refused"
    return f"signed {key} " + {None: "(unchecked)", True: "(trusted)", False: "(refused)"}[trusted]


def _version_line(manifest: Mapping[str, Any], signed: str, roles: Sequence[str]) -> str:
    figures = []
    for name, entry in manifest["models"].items():
        ap = entry["metrics"]["ap"]
        figures.append(f"{name} AP {ap['value']:.3f} [{ap['low']:.3f}, {ap['high']:.3f}]")
    revision = (manifest["data"].get("feedback") or {}).get("dataset_revision")
    source = f"feedback {revision[:12]}" if revision else "no feedback"
    return "  ".join(
        [manifest["version"], manifest["created_at"], *figures, source, signed, " ".join(roles)]
    ).rstrip()


def _keys_new(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.models.signing import SigningKey

    key = SigningKey.new()
    print(f"FRAUD_SIGNING_KEY={key.seed}", "  secret: only where models are trained", sep="\n")
    print(f"FRAUD_TRUSTED_KEYS={_text(key.public)}", "  public: wherever releases are loaded", sep="\n")


def _keys_show(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.models.signing import key_id, read_signing_key, read_trusted_keys

    key = read_signing_key(settings.releases.signing_key)
    trusted = read_trusted_keys(settings.releases.trusted_keys)
    if key is None:
        print("FRAUD_SIGNING_KEY is not set: releases of this machine are unsigned")
    else:
        print(f"signs    {key_id(key.public)}  {_text(key.public)}")
    for public in trusted.keys:
        print(f"trusted  {key_id(public)}  {_text(public)}")
    if not trusted.required:
        print("FRAUD_TRUSTED_KEYS is not set: any release is loaded, signed or not")


def _text(public: bytes) -> str:
    return base64.b64encode(public).decode("ascii")
