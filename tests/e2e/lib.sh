# What the end-to-end scripts share. CENTRAL, REMOTE and MESSAGE name the programs; a script prints what holds, line by line,
# and ends at the first thing that does not.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD:-$root/build/dev}
CENTRAL=${CENTRAL:-$build/central/central}
REMOTE=${REMOTE:-$build/remote/remote}
MESSAGE=${MESSAGE:-$build/tests/e2e/message}
SHIFTED=${SHIFTED:-$build/tests/e2e/libshifted.so}
unset SYNC_DATABASE SYNC_CONFIG

work=$(mktemp -d "${TMPDIR:-/tmp}/sync-e2e.XXXXXX")
databases=() # of PostgreSQL
here=1
cd "$work"

clean_up()
{
	local status=$?
	local pids

	pids=$(jobs -p)
	[ -z "$pids" ] || kill -9 $pids 2>/dev/null || true
	wait 2>/dev/null || true
	for database in "${databases[@]}"; do
		dropdb --force "$database" 2>/dev/null || true
	done
	if [ $status -ne 0 ]; then
		echo "FAILED in $work (logs below), at line ${BASH_LINENO[0]:-?}" >&2
		tail -n 20 "$work"/*.log >&2 2>/dev/null || true
	fi
	[ -n "${KEEP:-}" ] || rm -rf "$work"
	exit $status
}
trap clean_up EXIT
trap 'exit 130' INT TERM

fail()
{
	echo "FAILS: $*" >&2
	exit 1
}

# holds TEXT COMMAND…: the command succeeds
holds()
{
	local text=$1
	shift
	"$@" >"$work/out" 2>"$work/err" || fail "$text: $* ended with $?: $(head -c 500 "$work/out" "$work/err")"
	echo "ok  $text"
}

# refused TEXT STATUS PATTERN COMMAND…: it ends with that status, and says so
refused()
{
	local text=$1 status=$2 pattern=$3 got=0
	shift 3
	"$@" >"$work/out" 2>"$work/err" || got=$?
	[ "$got" = "$status" ] || fail "$text: $* ended with $got, not $status: $(head -c 500 "$work/out" "$work/err")"
	[ -z "$pattern" ] || grep -q -- "$pattern" "$work/out" "$work/err" || fail "$text: '$pattern' is not in: $(head -c 500 "$work/out" "$work/err")"
	echo "ok  $text"
}

# same TEXT EXPECTED SEEN
same()
{
	[ "$2" = "$3" ] || fail "$1: expected '$2', seen '$3'"
	echo "ok  $1"
}

# eventually SECONDS TEXT COMMAND…: it succeeds within that time
eventually()
{
	local until=$(($(date +%s%N) + $1 * 1000000000)) text=$2
	shift 2
	until "$@" >"$work/out" 2>"$work/err"; do
		[ "$(date +%s%N)" -lt "$until" ] || fail "$text: not in time: $* ($(head -c 300 "$work/out" "$work/err"))"
		sleep 0.05
	done
	echo "ok  $text"
}

# Both kinds of database, or what is there: for kind in $(kinds)
kinds()
{
	echo sqlite
	[ -z "${SYNC_TEST_POSTGRES:-}" ] || echo postgres
}

# A new database of central, which only central serve makes: sets database
new_database()
{
	name_database "$1"
	serve new
	stop "$pid_new"
}

# One that is not there yet
name_database()
{
	if [ "$1" = postgres ]; then
		local name="sync_e2e_$$_${#databases[@]}"

		createdb "$name"
		databases+=("$name")
		database="postgres:host=$PGHOST port=$PGPORT user=$PGUSER dbname=$name"
	else
		database="sqlite:$work/central-$RANDOM$RANDOM.db"
	fi
	export SYNC_DATABASE=$database
}

# SQL on central's database, as any program would
sql()
{
	case $database in
	postgres:*) psql -qAt -v ON_ERROR_STOP=1 "${database#postgres:}" -c "$1" ;;
	*) sqlite3 -cmd '.timeout 5000' "${database#sqlite:}" "$1" ;;
	esac
}

# SQL on a site's file: at FILE SQL
at()
{
	sqlite3 -cmd '.timeout 5000' "$1" "$2"
}

central()
{
	"$CENTRAL" "$@"
}

# remote FILE COMMAND…
remote()
{
	local file=$1
	shift
	SYNC_DATABASE="sqlite:$file" "$REMOTE" "$@"
}

# remote_as_nobody FILE COMMAND…: root may write whatever it likes; a copy of the program, because root's folders may be closed to others
remote_as_nobody()
{
	local file=$1
	shift
	if [ "$(id -u)" != 0 ]; then
		remote "$file" "$@"
		return
	fi
	chmod 755 "$work"
	[ -e "$work/remote" ] || install -m 755 "$REMOTE" "$work/remote"
	setpriv --reuid=65534 --regid=65534 --clear-groups env SYNC_DATABASE="sqlite:$file" "$work/remote" "$@"
}

# serve NAME OPTION…: starts central in the background; sets pid_NAME, url_NAME and url
serve()
{
	local name=$1 port scheme=http
	shift
	rm -f "$name.port"
	"$CENTRAL" serve --listen 127.0.0.1:0 --port-file "$name.port" "$@" >>"$name.log" 2>&1 &
	eval "pid_$name=$!"
	for _ in $(seq 200); do
		[ ! -s "$name.port" ] || break
		sleep 0.05
	done
	[ -s "$name.port" ] || fail "central does not listen: $(tail -n 3 "$name.log")"
	port=$(cat "$name.port")
	case " $* " in *" --tls-cert "*) scheme=https ;; esac
	url="$scheme://127.0.0.1:$port"
	eval "url_$name=$url"
}

# stop PID: asks, and waits for exit code 0
stop()
{
	kill -TERM "$1"
	wait "$1" || fail "process $1 ended with $? after SIGTERM"
}

# Central data: stores s1 and s2, both with a name, and an item
country()
{
	cat >names.csv <<-END
		id,name,code,type,is_customer,is_supplier,is_manufacturer,is_donor,on_hold,is_deceased
		n1,District,D,STORE,true,true,false,false,false,false
		n2,Post,P,STORE,true,true,false,false,false,false
	END
	cat >stores.csv <<-END
		id,code,site_id,store_mode,is_disabled,name_id
		s1,D,0,STORE,false,n1
		s2,P,0,STORE,false,n2
	END
	cat >items.jsonl <<-END
		{"id":"i1","name":"BCG","code":"bcg","ven_category":"V","default_pack_size":20,"type":"STOCK","legacy_record":"{}","is_active":true,"is_vaccine":true,"vaccine_doses":20,"volume_per_pack":0.5}
	END
	central import name names.csv >/dev/null
	central import store stores.csv >/dev/null
	central import item items.jsonl >/dev/null
}

# new_site NAME FILE [STORE]: adds and initialises it
new_site()
{
	central site add "$1" ${3:+--store "$3"} >"$2.secret" 2>/dev/null
	remote "$2" init --url "$url" --site "$1" --secret-file "$2.secret" >/dev/null
}

# A location of store s2 (or another) as an application writes it: location FILE ID [STORE]
location()
{
	at "$1" "INSERT INTO location(id, name, code, on_hold, store_id, volume) VALUES ('$2', 'Shelf', '$2', 0, '${3:-s2}', 0)"
}

# A requisition of store s2 to the name of store s1, which travels to both: requisition FILE ID
requisition()
{
	at "$1" "INSERT INTO requisition(id, requisition_number, store_id, type, status, created_datetime, max_months_of_stock,
		min_months_of_stock, is_emergency, name_id) VALUES ('$2', 9007199254740993, 's2', 'REQUEST', 'SENT', '2026-01-31T12:00:00', 3, 1, 0, 'n1')"
}
