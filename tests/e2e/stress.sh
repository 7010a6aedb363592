#!/bin/bash
# PostgreSQL under everything at once: transactions that commit late and out of order, two centrals that route, two sites that edit,
# kill -9 of the database server and of both centrals. What was committed arrives everywhere, and nothing arrives that was not.
# STRESS_S=600 makes it a soak.
[ -n "${SYNC_TEST_POSTGRES:-}" ] || { echo "no PostgreSQL here (tests/with_postgres): skipped"; exit 0; }
if [ -z "${SYNC_STRESS:-}" ]; then # a server of its own: others would not survive this
	exec env SYNC_STRESS=1 SYNC_POSTGRES_OPTIONS="-c fsync=on" "$(dirname "$0")/../with_postgres" bash "$0"
fi
. "$(dirname "$0")/lib.sh"

seconds=${STRESS_S:-15}
writers=6
stop_at=$(($(date +%s) + seconds))
is_time() { [ "$(date +%s)" -lt "$stop_at" ]; }

# as the user who may run a server
as_owner()
{
	cd "$PGHOST"
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=postgres --regid=postgres --init-groups "$@"
	else
		"$@"
	fi
}

crash_server()
{
	local server

	server=$(head -n 1 "$PGHOST/data/postmaster.pid")
	cp "$PGHOST/data/postmaster.opts" "$work/opts"
	kill -9 "$server"
	eventually 20 "the database server is gone" bash -c "! pgrep -s $server"
	(as_owner setsid sh -c "exec $(cat "$work/opts")" >>"$work/postgres.log" 2>&1) &
	eventually 60 "the database server has recovered" pg_isready -q
}

# One transaction: some rows, some time in between, kept or not. What is committed for sure is written down.
transaction()
{
	local id=$1 nap=$((RANDOM % 500)) end=COMMIT

	[ $((RANDOM % 6)) -gt 0 ] || end=ROLLBACK
	psql -qAt -v ON_ERROR_STOP=1 "${database#postgres:}" >/dev/null 2>&1 <<-END || return 0
		BEGIN;
		INSERT INTO location(id, name, code, on_hold, store_id, volume) VALUES ('$id-a', 'first', '$id', false, 's2', 0);
		SELECT pg_sleep(0.$(printf '%03d' "$nap"));
		INSERT INTO location(id, name, code, on_hold, store_id, volume) VALUES ('$id-b', 'second', '$id', false, 's2', 0);
		UPDATE location SET name = 'by $id' WHERE id = 'shared';
		$end;
	END
	[ $end = ROLLBACK ] && echo "$id" >>"undone.$2" || echo "$id" >>"done.$2"
}

write_much()
{
	local i

	for ((i = 0; ; i++)); do
		is_time || return 0
		transaction "w$1-$i" "$1"
	done
}

# A site that edits, and exchanges with either central
work_at()
{
	local i

	for ((i = 0; ; i++)); do
		is_time || return 0
		location "$1" "$2-$i" "$2" >>"$1.log" 2>&1
		remote "$1" sync --url "$([ $((RANDOM % 2)) = 0 ] && echo "$url_one" || echo "$url_two")" >>"$1.log" 2>&1 || true
	done
}

again() # NAME: the process that was killed, at its address
{
	local url_name=url_$1

	"$CENTRAL" serve --listen "${!url_name#http://}" >>"$1.log" 2>&1 &
	eval "pid_$1=$!"
	eventually 20 "central $1 is back" curl -sf -o /dev/null "${!url_name}/sync/v1/health"
}

new_database postgres
country
serve one
serve two
new_site District d.db s1
new_site Post p.db s2
sql "INSERT INTO location(id, name, code, on_hold, store_id, volume) VALUES ('shared', 'nobody', 'x', false, 's2', 0)"

workers=()
for ((n = 0; n < writers; n++)); do
	write_much "$n" &
	workers+=($!)
done
work_at d.db s1 &
workers+=($!)
work_at p.db s2 &
workers+=($!)

turn=0
while is_time; do
	sleep "1.$((RANDOM % 10))"
	turn=$((turn + 1))
	case $((turn % 3)) in
	0) crash_server ;;
	1) kill -9 "$pid_one" && { wait "$pid_one" 2>/dev/null || true; } && again one ;;
	2) kill -9 "$pid_two" && { wait "$pid_two" 2>/dev/null || true; } && again two ;;
	esac
done
wait "${workers[@]}"

settled()
{
	remote p.db sync --url "$url_one" >/dev/null && remote d.db sync --url "$url_two" >/dev/null &&
		[ "$(sql 'SELECT (SELECT count(*) FROM sync_changelog) + (SELECT count(*) FROM sync_job)')" = 0 ]
}
eventually 60 "everybody comes to rest after $turn crashes" settled
settled
list="SELECT id, name FROM location WHERE store_id ="
sql "$list 's2'" | LC_ALL=C sort >central.s2
at p.db "$list 's2'" | LC_ALL=C sort >site.s2
cmp central.s2 site.s2 || fail "the post and central differ: $(diff central.s2 site.s2 | head -n 5)"
sql "$list 's1'" | LC_ALL=C sort >central.s1
at d.db "$list 's1'" | LC_ALL=C sort >site.s1
cmp central.s1 site.s1 || fail "the district and central differ: $(diff central.s1 site.s1 | head -n 5)"
committed=$(cat done.* | wc -l)
for id in $(cat done.*); do
	grep -q "^$id-a|" site.s2 && grep -q "^$id-b|" site.s2 || fail "transaction $id was committed, and is not at the post"
done
for id in $(cat undone.* 2>/dev/null); do
	! grep -q "^$id-" site.s2 || fail "transaction $id was rolled back, and is at the post"
done
[ "$committed" -gt 0 ] || fail "no transaction was committed"
same "no transaction is there in half" 0 "$(cut -d '|' -f 1 site.s2 | sed -n 's/^\(w.*\)-[ab]$/\1/p' | uniq -c | awk '$1 != 2' | wc -l)"
echo "ok  $committed transactions of $writers writers, $(wc -l <central.s1) and $(wc -l <central.s2) records, equal everywhere"
same "nothing waits" 0 "$(sql 'SELECT (SELECT count(*) FROM sync_inbox) + (SELECT count(*) FROM sync_waiting)')"
stop "$pid_one"
stop "$pid_two"
