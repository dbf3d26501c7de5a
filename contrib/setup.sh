#!/bin/sh
# Installs those of the named Debian packages that are missing, and nothing else.
#
#     contrib/setup.sh softhsm2 mosquitto
#
# As root or with sudo. With nothing missing it asks for neither, touches nothing
# and needs no network. A service that a package brings (mosquitto, samba, vsftpd, apache2) is
# not started and not enabled: demo and tests start their own, on ports of their own.
# Nothing is upgraded on purpose, nothing is ever removed.
set -eu

POLICY=/usr/sbin/policy-rc.d
MARK='# written by contrib/setup.sh of Scanseal for as long as it runs'

say() {
    printf 'setup: %s\n' "$*" >&2
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -- "$@"
    fi
}

is_installed() {
    status=$(dpkg-query -W -f='${db:Status-Status}\n' -- "$1" 2>/dev/null | head -n 1)
    [ "$status" = installed ]
}

# Debian asks this file before it starts a service. One of somebody else's stays as it is.
hold_services() {
    if [ ! -e "$POLICY" ]; then
        printf '#!/bin/sh\n%s\nexit 101\n' "$MARK" | as_root tee "$POLICY" >/dev/null
        as_root chmod 0755 "$POLICY"
    fi
}

let_services_go() {
    if [ -e "$POLICY" ] && grep -qF "$MARK" "$POLICY"; then
        as_root rm -f "$POLICY"
    fi
}

if [ "$#" -eq 0 ]; then
    say "name the Debian packages that are needed: contrib/setup.sh softhsm2 mosquitto"
    exit 2
fi
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "this is no Debian; install these by hand: $*"
    exit 1
fi

missing=
services=
for package in "$@"; do
    if ! is_installed "$package"; then
        missing="$missing $package"
        case $package in
            mosquitto | vsftpd) services="$services $package.service" ;;
            apache2) services="$services apache2.service apache-htcacheclean.service" ;;
            samba) services="$services smbd.service nmbd.service" ;;
        esac
    fi
done
if [ -z "$missing" ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    say "these packages are missing:$missing"
    say "run this as root, or install sudo: only root can install them"
    exit 1
fi

say "installing$missing"
trap let_services_go EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
hold_services

export_quiet='DEBIAN_FRONTEND=noninteractive'
wait_for_others='-o DPkg::Lock::Timeout=300'
# shellcheck disable=SC2086 # the lists are meant to fall into words
{
    if ! as_root env $export_quiet apt-get $wait_for_others -q update; then
        say "apt-get update failed: look at the network and /etc/apt/sources.list"
        exit 1
    fi
    if ! as_root env $export_quiet apt-get $wait_for_others -q -y --no-install-recommends \
        install -- $missing; then
        say "apt-get could not install$missing"
        exit 1
    fi
}

if [ -n "$services" ] && [ -d /run/systemd/system ]; then
    # shellcheck disable=SC2086
    as_root systemctl disable --now $services
fi
