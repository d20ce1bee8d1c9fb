#!/bin/sh
# The one command that every schedule calls. Its exit code is the command's: 0 done or nothing due,
# 1 the gate refused (the champion stays, the report says why), 2 an error (the next run goes on).
# Arguments go to `retrain`, such as --data FILE or --promote.
set -u
cd "$(dirname "$0")/../.." || exit 2
python="${FRAUD_PYTHON:-.venv/bin/python}"
"$python" -m fraud retrain "$@"
code=$?
# What a refusal has to tell the nodes is sent here too, where no demo is running to do it.
"$python" -m fraud webhooks send-pending || echo "webhooks: some messages wait for the next attempt" >&2
exit "$code"
