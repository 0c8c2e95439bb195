#!/bin/bash
# All tests, from a clean clone on Debian with Rust: installs what they need, then formatting, lints,
# tests (with a private Postfix, Dovecot and Sendmail, directory servers, Prometheus and Alertmanager, on
# loopback, and milter clients) and the systemd units. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."

# postfix, dovecot-core, openssl: the live suite. m4, sasl2-bin, libsasl2-modules, util-linux: its
# Sendmail. miltertest: a milter client; python3-pip: for another. systemd: systemd-analyze, for the
# units. samba-ad-dc, samba-ad-provision, slapd, 389-ds-base, ldap-utils: the directory servers.
# prometheus, prometheus-alertmanager: the alerts.
packages=(postfix dovecot-core openssl m4 sasl2-bin libsasl2-modules util-linux miltertest python3-pip systemd
    samba-ad-dc samba-ad-provision slapd 389-ds-base ldap-utils prometheus prometheus-alertmanager)
policy=/usr/sbin/policy-rc.d
sendmail=target/sendmail

fail() {
    echo "tests/run.sh: $*" >&2
    exit 1
}

step() {
    echo
    echo "== $*"
    "$@"
}

is_installed() {
    [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

restore_policy() {
    rm -f "$policy"
    if [ -e "$policy.before-gatepost" ]; then
        mv "$policy.before-gatepost" "$policy"
    fi
}

# Sendmail's packages conflict with Postfix's, so they are unpacked below target/, not installed.
unpack_sendmail() {
    local package library
    if [ ! -d $sendmail/root ]; then
        echo "== unpacking Sendmail"
        rm -rf $sendmail
        mkdir -p $sendmail/unpacking
        apt-get update -q
        # As root: the user _apt need not have access to this folder.
        (cd $sendmail && apt-get -q -o APT::Sandbox::User=root \
            download sendmail-bin sendmail-cf sendmail-base)
        for package in $sendmail/*.deb; do
            dpkg-deb --extract "$package" $sendmail/unpacking
        done
        mv $sendmail/unpacking $sendmail/root
    fi
    # Their names differ from one Debian to the next.
    for library in $(dpkg-deb --field $sendmail/sendmail-bin_*.deb Depends |
        tr ',' '\n' | sed -n 's/^ *\(lib[^ ]*\).*/\1/p'); do
        packages+=("$library")
    done
}

install_missing() {
    local missing=() package
    command -v cc >/dev/null || packages+=(gcc libc6-dev)
    for package in "${packages[@]}"; do
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "== installing ${missing[*]}"
    # No daemon may start by being installed: the tests start their own.
    if [ -e "$policy" ] || [ -L "$policy" ]; then
        mv "$policy" "$policy.before-gatepost"
    fi
    trap restore_policy EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    export DEBIAN_FRONTEND=noninteractive
    debconf-set-selections <<'END'
postfix postfix/main_mailer_type select No configuration
slapd slapd/no_configuration boolean true
END
    apt-get update -q
    apt-get install -q -y --no-install-recommends "${missing[@]}"
    restore_policy
    trap - EXIT
}

target_folder() {
    cargo metadata --locked --no-deps --format-version 1 |
        sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}

# A milter client from PyPI, into the target folder alone.
install_python_client() {
    local folder
    folder=$(target_folder)/python
    [ -d "$folder/miltertest" ] || python3 -m pip install --quiet --no-deps --require-hashes \
        --root-user-action ignore --target "$folder" -r tests/milter_clients/requirements.txt
}

check_units() {
    local folder exposure unit
    folder=$(mktemp -d)
    # systemd-analyze looks for the program; the one just built stands in for the installed one.
    ln -s "$(target_folder)/debug/gatepost" "$folder/gatepost"
    sed "s,/usr/local/bin/gatepost,$folder/gatepost," deploy/systemd/gatepost.service \
        >"$folder/gatepost.service"
    sed "s,/usr/local/bin/gatepost,$folder/gatepost," deploy/systemd/gatepost-queue.service \
        >"$folder/gatepost-queue.service"
    cp deploy/systemd/*.socket "$folder"
    systemd-analyze verify "$folder"/*.service "$folder"/*.socket
    for unit in gatepost gatepost-queue; do
        exposure=$(systemd-analyze security --offline=true --threshold=15 "$folder/$unit.service" |
            tail -n 1)
        echo "$exposure"
    done
    rm -r "$folder"
}

[ "$(id -u)" = 0 ] || fail "must run as root: the live suite starts a private Postfix and Sendmail"
command -v cargo >/dev/null || fail "cargo is not in PATH; install Rust (https://rustup.rs)"
cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 ||
    fail "rustfmt or clippy is missing: rustup component add rustfmt clippy"
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    fail "there is no apt here; the tests install Debian packages: ${packages[*]} and Sendmail"
fi
unpack_sendmail
install_missing
step install_python_client

step cargo fmt --check
step cargo clippy --all-targets --locked -- -D warnings
# Each test of the live suite may have a Postfix of its own; four at once are enough.
processors=$(nproc)
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-$((processors < 4 ? processors : 4))}"
step cargo test --locked
step check_units

echo
echo "All tests passed."
