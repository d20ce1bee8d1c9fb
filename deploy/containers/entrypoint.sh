#!/bin/sh
# Gives the program its secrets: each file /run/secrets/FRAUD_... becomes the variable of its name. They are in
# no image, no compose file and no `docker inspect`. A variable that is set already stays as it is.
set -eu
for file in "${SECRETS_DIR:-/run/secrets}"/FRAUD_*; do
    [ -f "$file" ] || continue
    name=$(basename "$file")
    case "$name" in *[!A-Z_]*) continue ;; esac
    if ! [ -r "$file" ]; then
        echo "The secret $name cannot be read by user $(id -u); it must be the owner of the file." >&2
        exit 2
    fi
    eval "is_set=\${$name+yes}"
    [ "${is_set:-}" = yes ] || export "$name=$(cat "$file")"
done
exec "$@"
