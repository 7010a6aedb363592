#!/bin/bash
# The command line: exit codes, reports, and databases that are none of ours.
. "$(dirname "$0")/lib.sh"

name_database sqlite
refused "no command" 64 "no command given" central
refused "an unknown one" 64 "no command 'fly'" central fly
refused "whose arguments are no part of its name" 64 "no command 'explan'" remote x.db explan a b
holds "import reads standard input" grep -q "standard input" <(central import --help)
same "export does not" 0 "$(central export --help | grep -c "standard input")"
refused "an unknown option" 64 "unrecognized option" central status --fly
refused "an option of another command" 64 "unrecognized option" central status --force
refused "too few arguments" 64 "arguments are missing" central store move s1
echo 'id,code' >name.csv
for command in "status" "site add Post" "site list" "site show Post" "site reset Post" "site revoke Post" "store move s1 Post" "waiting list" \
	"waiting accept 1" "waiting discard 1" "import name name.csv" "export name"; do
	refused "a database that is not there: $command" 1 "${database#sqlite:}: there is no database: central serve makes one; is --database or --config missing?" central $command
done
refused "a site's that is not there" 1 "there is no database: remote init makes one" remote not-there.db status
same "and none is made" 0 "$(find . -name '*.db*' | wc -l)"
refused "with --json a failure is an object" 1 '^{"ok":false,"error":"notfound"' central status --json
refused "an unknown option as well" 64 "^{\"ok\":false,\"error\":\"usage\",\"text\":\"unrecognized option '--fly': see central status --help\"}" central status --fly --json
new_database sqlite
country
holds "a settings file is read" central status --config <(echo "database = $database")
refused "its mistakes are told with the line" 64 "colour" central status --config <(echo "colour = red")

printf 'id,name\nn9,Nine\n' >bad.csv
refused "an incomplete import" 1 "line 2: name.code is missing, and name 'n9' is new" central import name bad.csv
printf '{"id":"n8","name":"x","code":"x","type":"STORE","is_customer":true,"is_supplier":true,"is_manufacturer":false,"is_donor":false,"on_hold":false,"is_deceased":false}\n{"id":"n9","name":7}\n' >bad.jsonl
refused "a bad line" 1 "line 2: name.name" central import name bad.jsonl
same "nothing is half imported" 2 "$(sql 'SELECT count(*) FROM name')"
refused "no such entity" 64 "no entity is called 'nome'" central import nome names.csv
refused "no such file" 1 "nothing.csv" central import name nothing.csv
cp names.csv names.jsonl
refused "CSV that is called JSON lines" 1 "line 1: it does not begin with '{'.*say --format csv" central import name names.jsonl
refused "what kind of file" 64 "say --format" central import name lib.xyz
central export name >out.csv
holds "standard input is imported" central import name - <out.csv
same "and changes nothing" "$(cat out.csv)" "$(central export name)"
central export name --format json >out.jsonl
holds "JSON lines as well" central import name out.jsonl
same "and change nothing" "$(cat out.jsonl)" "$(central export name --format json)"

refused "waiting accept takes a number" 64 "is no number" central waiting accept x
refused "all of them, before any is decided" 64 "'x' is no number of central waiting list" central waiting discard 7 x
refused "that are there" 1 "nothing waits as 7" central waiting accept 7 8
refused "a store that is not there" 1 "no store has the id 's9'" central site add Post --store s9
refused "a site that is not there" 1 "no site is called 'Nowhere'" central store move s1 Nowhere
refused "a site's name may not be odd" 1 "another character at 5" central site add 'Post/1'

echo "this is no database, but a text that is long enough to be mistaken for one by a careless program, is it not?" >text.db
refused "a file that is no database" 1 "text.db" central status --database sqlite:text.db
sqlite3 other.db 'CREATE TABLE t(x)'
refused "a database of another program" 1 "other.db" central status --database sqlite:other.db
refused "central's is no site's" 1 "central" remote "${database#sqlite:}" status
cp "${database#sqlite:}" newer.db
sqlite3 newer.db "UPDATE sync_meta SET value = '999' WHERE key = 'format'"
refused "one that a newer version made" 1 "newer" central status --database sqlite:newer.db
refused "a scheme that is none" 64 "mysql" central status --database mysql:x
refused "remote has no PostgreSQL" 64 "postgres" remote x status --database postgres:dbname=x
refused "a site that is not registered" 64 "not registered yet" remote new.db init
refused "a secret that is not there" 64 "secret-file nowhere" remote new.db init --url http://127.0.0.1:1 --site Post --secret-file nowhere
same "neither makes a file" 0 "$(find . -name 'new.db*' | wc -l)"
refused "status of it" 1 "remote init" remote new.db status

refused "serve: no port" 64 "ADDR:PORT" central serve --listen localhost
refused "serve: no address" 64 "IPv4" central serve --listen fridge:80
refused "serve: a folder that is not there" 1 "not-there/x.db-central: .*: the folder of the database is not there: make it first" central serve --database sqlite:not-there/x.db
refused "serve: another machine's address" 1 "this machine has no such address" central serve --listen 192.0.2.1:8440 --allow-plain
if [ "$(id -u)" = 0 ] && [ "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" -gt 1001 ]; then
	refused "serve: a port that is root's" 1 "permission denied: ports below 1024" \
		setpriv --bounding-set=-net_bind_service --inh-caps=-net_bind_service "$CENTRAL" serve --listen 127.0.0.1:1001
fi
refused "serve: plain HTTP for all" 64 "allow-plain" central serve --listen 0.0.0.0:0
serve main
refused "serve: a port that is taken" 1 "cannot listen on .*: something else listens there" central serve --database sqlite:second.db --listen "${url#http://}"
refused "serve: a file that another one serves" 1 "another central serves" central serve --listen 127.0.0.1:0
same "health" '{"ok":true,"version"' "$(curl -s "$url/sync/v1/health" | head -c 20)"
stop "$pid_main"
holds "SIGTERM is told" grep -q 'stopping signal=TERM' main.log
