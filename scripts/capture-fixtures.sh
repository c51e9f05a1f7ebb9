#!/bin/sh
# Makes the binlog files in fixtures/binlog anew, with a real MySQL server.
#
#   capture-fixtures.sh ROOT
#
# ROOT is what fetch-mysql.sh made. The server listens on a socket only, in a folder of its own that is removed at the
# end. The statements are in fixtures/binlog/*.sql: one file, one binlog. fixtures/README.md says what each is for.
set -eu

root=${1:?usage: capture-fixtures.sh ROOT}
here=$(cd "$(dirname "$0")/../fixtures/binlog" && pwd)
work=$(mktemp -d)
server=
stop() {
  [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null || :; }
  rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' INT TERM

run() {
  program=$1
  shift
  "$root/usr/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" "$root/usr/$program" \
    --no-defaults "$@"
}
mysqld() {
  run sbin/mysqld --user="$(id -un)" --datadir="$work/data" --secure-file-priv=NULL --lc-messages-dir="$root/usr/share/mysql" \
    --character-sets-dir="$root/usr/share/mysql/charsets" --plugin-dir="$root/usr/lib/mysql/plugin" "$@"
}
mysql() {
  run bin/mysql --socket="$work/socket" --user=root --default-character-set=utf8mb4 --binary-mode "$@"
}

echo "capture-fixtures: making a server" >&2
mysqld --initialize-insecure --log-error="$work/log"
# The same identity at each capture, so that a new one differs only where the server does.
printf '[auto]\nserver-uuid=c0ffee00-0000-4000-8000-000000000001\n' >"$work/data/auto.cnf"
mysqld --socket="$work/socket" --skip-networking --mysqlx=OFF --server-id=1 --gtid-mode=ON --enforce-gtid-consistency=ON \
  --log-bin="$work/data/log" --log-error="$work/log" &
server=$!
tries=0
until mysql --execute='SELECT 1' >/dev/null 2>&1; do
  kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
  tries=$((tries + 1))
  [ "$tries" -lt 300 ] || { echo "capture-fixtures: the server does not answer" >&2; exit 1; }
  sleep 0.2
done

for statements in "$here"/*.sql; do
  name=$(basename "$statements" .sql)
  mysql --execute='DROP DATABASE IF EXISTS f; CREATE DATABASE f CHARACTER SET utf8mb4; FLUSH BINARY LOGS'
  mysql f <"$statements"
  # Some statements begin a new log; the last one is what they are about.
  log=$(mysql --skip-column-names --execute='SHOW BINARY LOG STATUS' | cut -f 1)
  mysql --execute='SET GLOBAL binlog_checksum = CRC32, binlog_row_metadata = MINIMAL, gtid_mode = ON_PERMISSIVE;
    SET GLOBAL gtid_mode = ON; FLUSH BINARY LOGS'
  cp "$work/data/$log" "$here/$name.binlog"
  chmod 644 "$here/$name.binlog"
  echo "capture-fixtures: $name.binlog, $(wc -c <"$here/$name.binlog") bytes" >&2
done
