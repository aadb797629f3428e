#!/usr/bin/env bash
# The example from init to destroy, against a server of its own whose clock runs sixty times faster: prints each check with
# its result and ends with 1 when one has failed. Ends with 77 when Terraform or hashicorp/aws cannot be had here.
#
#   CAPSTAN=PATH                    a server that is built already
#   CAPSTAN_TERRAFORM_MIRROR=PATH   a directory that holds registry.terraform.io/hashicorp/aws, to be looked at first
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

command -v python3 >/dev/null || { echo "skipped: there is no python3 on the PATH, which the checks and the batch tasks need"; exit 77; }
command -v terraform >/dev/null || { echo "skipped: there is no terraform on the PATH"; exit 77; }

capstan=${CAPSTAN:-}
if [ -z "$capstan" ]; then
    (cd "$root" && cargo build)
    capstan=${CARGO_TARGET_DIR:-$root/target}/debug/capstan
fi

work=$(mktemp -d)
server=
finish() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

cp "$here"/*.tf "$here/worker.py" "$work"
NO_COLOR=1 "$capstan" serve --listen 127.0.0.1:0 --clock x60 --runtime process 2>"$work/server.log" &
server=$!
endpoint=
until [ -n "$endpoint" ]; do
    kill -0 "$server" 2>/dev/null || { cat "$work/server.log"; echo "the server did not start"; exit 1; }
    sleep 0.1
    endpoint=$(sed -n 's/.* answers at \(http:[^ ]*\).*/\1/p' "$work/server.log")
done
eval "$("$capstan" env --endpoint "$endpoint")"

PYTHONPATH=$root/e2e PYTHONDONTWRITEBYTECODE=1 python3 -u "$here/story.py" "$work"
