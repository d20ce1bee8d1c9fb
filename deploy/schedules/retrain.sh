#!/bin/sh
# The one command that every schedule calls. Its exit code is the command's: 0 done or nothing due,
# 1 the gate refused (the champion stays, the report says why), 2 an error (the next run goes on).
# Arguments go to `retrain`, such as --data FILE or --promote.
set -u
cd "$(dirname "$0")/../.." || exit 2
python="${FRAUD_PYTHON:-.venv/bin/python}"
if [ -n "${FRAUD_TRUSTED_KEYS:-}" ] && [ -z "${FRAUD_SIGNING_KEY:-}" ]; then
    echo "FRAUD_TRUSTED_KEYS is set and FRAUD_SIGNING_KEY is not: nobody would load what is trained here; set it." >&2
    exit 2
fi
# Where a secret is all there is, FRAUD_WEBHOOKS may hold the file itself; it is on the disk while this runs.
case "${FRAUD_WEBHOOKS:-}" in *"[[endpoint]]"*)
    umask 077
    webhooks="$(mktemp)" || exit 2
    trap 'rm -f "$webhooks"' EXIT
    trap 'exit 2' HUP INT TERM
    printf '%s\n' "$FRAUD_WEBHOOKS" >"$webhooks" || exit 2
    export FRAUD_WEBHOOKS="$webhooks"
esac
"$python" -m fraud retrain "$@"
code=$?
# What a refusal has to tell the nodes is sent here too, where no demo is running to do it.
"$python" -m fraud webhooks send-pending || echo "webhooks: some messages wait for the next attempt" >&2
exit "$code"
