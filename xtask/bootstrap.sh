#!/bin/sh
# What must be there before cargo can build xtask: cargo itself and a C linker. Everything else is xtask's business.
set -eu

if ! command -v cargo >/dev/null 2>&1; then
    echo "holdfast: Rust is missing; install it with: curl -sSf https://sh.rustup.rs | sh -s -- -y" >&2
    exit 1
fi

if ! command -v cc >/dev/null 2>&1; then
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "holdfast: installing a C linker, which Rust needs: gcc libc6-dev" >&2
        export DEBIAN_FRONTEND=noninteractive
        apt-get -q update >&2
        apt-get -q install -y --no-install-recommends gcc libc6-dev >&2
    else
        echo "holdfast: a C linker is missing, which Rust needs; install one with: sudo apt-get install -y gcc libc6-dev" >&2
        exit 1
    fi
fi
