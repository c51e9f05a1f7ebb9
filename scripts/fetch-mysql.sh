#!/bin/sh
# Fetches a real MySQL server and client from Debian into a folder of its own.
#
#   fetch-mysql.sh TARGET
#
# Debian's stable suite carries no MySQL server; its `sid` suite does. The packages are downloaded through
# apt with a private state (nothing on the system changes, root is not needed, the archive's signature is
# checked against Debian's keyring) and unpacked into TARGET with their own libc. Programs in TARGET are
# started through TARGET's own loader:
#   TARGET/usr/lib64/ld-linux-x86-64.so.2 --library-path TARGET/usr/lib/x86_64-linux-gnu TARGET/usr/sbin/mysqld
#
# TARGET appears only when it is complete, so an interrupted run is simply repeated.
set -eu

target=${1:?usage: fetch-mysql.sh TARGET}
[ -e "$target/.complete" ] && exit 0

for program in apt-get dpkg-deb; do
  command -v "$program" >/dev/null || {
    echo "fetch-mysql: $program is not here; this works on Debian and its relatives. Install MySQL 8.0 or later" \
         "and put mysqld on PATH, or name it in CAUSEWAY_MYSQLD." >&2
    exit 1
  }
done

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keyring" ] || keyring=/usr/share/keyrings/debian-archive-keyring.pgp
[ -e "$keyring" ] || {
  echo "fetch-mysql: no Debian archive keyring under /usr/share/keyrings; install debian-archive-keyring." >&2
  exit 1
}

# The machine's own Debian mirror, whatever format its source lists have.
mirror=${CAUSEWAY_DEBIAN_MIRROR:-$(
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    grep -v '^[[:space:]]*#' | grep -oE '(https?|mirror\+file)://?[^] ]+' | grep -E '/debian/?$' | head -n 1
)}
[ -n "$mirror" ] || {
  echo "fetch-mysql: the system's source lists name no Debian mirror; name one in CAUSEWAY_DEBIAN_MIRROR, or install" \
       "MySQL 8.0.19 or later and put mysqld on PATH." >&2
  exit 1
}

mkdir -p "$(dirname "$target")"
work=$(mktemp -d "$(dirname "$target")/.fetch-mysql.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/etc" "$work/root"
: >"$work/status"
arch=$(dpkg --print-architecture)
echo "deb [arch=$arch signed-by=$keyring] $mirror sid main" >"$work/etc/sources.list"

# APT_CONFIG is read before the system's own configuration, and what `-c` names after it: its proxies hold here too, but
# its hooks (containers clean /var/cache/apt in one) must not run.
cat >"$work/apt.conf" <<CONF
Dir::State "$work";
Dir::State::lists "$work/lists";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
Dir::Etc::SourceList "$work/etc/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::Log "$work";
APT::Architecture "$arch";
APT::Architectures "$arch";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "5";
Debug::NoLocking "true";
CONF
APT_CONFIG="$work/apt.conf"; export APT_CONFIG
cat >"$work/no-hooks.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Install::Pre-Invoke;
#clear APT::Install::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
CONF
get() { apt-get -c "$work/no-hooks.conf" -qq "$@" >&2; }

echo "fetch-mysql: fetching MySQL from Debian sid (about 65 MB, 400 MB unpacked; once)" >&2
get update
# Two goes: a mirror may be renewed between the index and the packages.
packages="mysql-server-core mysql-client-core ${CAUSEWAY_EXTRA_PACKAGES:-}"
# shellcheck disable=SC2086
get -y --no-install-recommends --download-only install $packages || {
  get update
  # shellcheck disable=SC2086
  get -y --no-install-recommends --download-only install $packages
}
for package in "$work"/cache/archives/*.deb; do
  dpkg-deb -x "$package" "$work/root"
done
[ -x "$work/root/usr/sbin/mysqld" ] || { echo "fetch-mysql: the packages hold no usr/sbin/mysqld" >&2; exit 1; }
: >"$work/root/.complete"
# Another process may have been faster; its copy is as good as this one.
mv -T "$work/root" "$target" 2>/dev/null || [ -e "$target/.complete" ]
