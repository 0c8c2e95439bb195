#!/bin/bash
# Licences, banned crates and sources of all dependencies, by deny.toml. Apart from tests/run.sh, since
# cargo-deny takes minutes to build where it is not there yet.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo deny --version >/dev/null 2>&1; then
    echo "cargo-deny is missing; installing it, which takes some minutes"
    cargo install cargo-deny --locked --version '^0.20'
    # Where cargo installs to need not be in PATH; cargo finds its subcommands by PATH.
    PATH="${CARGO_INSTALL_ROOT:-${CARGO_HOME:-$HOME/.cargo}}/bin:$PATH"
fi
cargo deny --locked check bans licenses sources
echo "Licences, crates and sources are as deny.toml allows."
