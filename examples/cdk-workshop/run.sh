#!/usr/bin/env bash
# The example from bootstrap to destroy with the stock CDK, against a server of its own whose clock runs thirty times faster:
# prints each check with its result and ends with 1 when one has failed.
#
#   CAPSTAN=PATH    a server that is built already
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=$here/.cache
cdk_version=2.1148.1

sudo=$([ "$(id -u)" = 0 ] || echo sudo)
need() { # command, packages
    command -v "$1" >/dev/null && return
    echo "installing ${*:2} (apt-get)"
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq --no-install-recommends "${@:2}"
}
need node nodejs
need npm npm
python3 -c 'import ensurepip, venv' 2>/dev/null || need no-such-command python3 python3-venv

if [ ! -x "$cache/venv/bin/python" ] || ! cmp -s "$here/requirements.txt" "$cache/requirements.txt"; then
    echo "installing into $cache/venv: $(grep -v '^#' "$here/requirements.txt" | tr '\n' ' ')(pip)"
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$cache/requirements.txt"
fi
if [ ! -x "$cache/node_modules/.bin/cdk" ]; then
    echo "installing into $cache: aws-cdk@$cdk_version (npm)"
    npm install --silent --no-audit --no-fund --prefix "$cache" "aws-cdk@$cdk_version"
fi

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

cp "$here/app.py" "$here/cdk.json" "$work"
NO_COLOR=1 "$capstan" serve --listen 127.0.0.1:0 --clock x30 --runtime process 2>"$work/server.log" &
server=$!
endpoint=
until [ -n "$endpoint" ]; do
    kill -0 "$server" 2>/dev/null || { cat "$work/server.log"; echo "the server did not start"; exit 1; }
    sleep 0.1
    endpoint=$(sed -n 's/.* answers at \(http:[^ ]*\).*/\1/p' "$work/server.log")
done
eval "$("$capstan" env --endpoint "$endpoint")"

export PATH="$cache/venv/bin:$cache/node_modules/.bin:$PATH" PYTHONDONTWRITEBYTECODE=1
# Neither looks for newer versions, nor tells anybody that it was used.
export CDK_DISABLE_CLI_TELEMETRY=true JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION=1 JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION=1 JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=1
python3 -u "$here/story.py" "$work"
