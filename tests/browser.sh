#!/bin/sh
# Makes sure there are a Chromium and an emoji font for the tests of the page.
set -eu
have() { command -v chromium >/dev/null 2>&1 && [ -n "$(find /usr/share/fonts -name 'NotoColorEmoji*' 2>/dev/null)" ]; }
have && exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-noto-color-emoji >/dev/null
fi
have || echo "no Chromium or emoji font: the tests of the page need them (Debian: chromium fonts-noto-color-emoji)" >&2
