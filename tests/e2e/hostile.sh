#!/bin/bash
# Requests that nobody should make: each has its status and its text, and nothing has changed.
. "$(dirname "$0")/lib.sh"

# ask STATUS TEXT CURL-OPTION…: what central answers
ask()
{
	local status=$1 text=$2 what=$3 got
	shift 3
	got=$(curl -s -o "$work/out" -w '%{http_code}' --max-time 20 "$@" 2>"$work/err") || true
	[ "$got" = "$status" ] || fail "$what: status $got, not $status: $(head -c 300 "$work/out")"
	grep -q -- "$text" "$work/out" || fail "$what: '$text' is not in: $(head -c 300 "$work/out")"
	echo "ok  $what: $status"
}

# exchange STATUS TEXT WHAT CURL-OPTION…: as the site, with its token
exchange()
{
	local status=$1 text=$2 what=$3
	shift 3
	ask "$status" "$text" "$what" -H 'Expect:' -H "Authorization: Bearer $token" -H 'Content-Type: application/x-libsync' "$@" "$url/sync/v1/exchange"
}

everything()
{
	sql "SELECT count(*) FROM location UNION ALL SELECT count(*) FROM item UNION ALL SELECT count(*) FROM sync_outbox UNION ALL
		SELECT count(*) FROM sync_inbox UNION ALL SELECT count(*) FROM sync_waiting UNION ALL SELECT count(*) FROM sync_spool
		UNION ALL SELECT in_ordinal FROM sync_site UNION ALL SELECT seq FROM sync_routing" | tr '\n' ' '
}

for kind in $(kinds); do
	echo "-- $kind"
	here=$work/$kind
	mkdir "$here"
	cd "$here"
	new_database "$kind"
	country
	serve main --idle 2s --body-max 1MiB
	new_site Post p.db s2
	remote p.db sync >/dev/null
	token=$(at p.db 'SELECT token FROM sync_link')
	branch=$(at p.db 'SELECT branch FROM sync_link')
	before=$(everything)

	location='{"e":"location","i":"l1","a":"P","q":"1","d":{"name":"Shelf","code":"l1","on_hold":false,"store_id":"s2","volume":0}}'
	echo "$location" | "$MESSAGE" site=1 branch="$branch" made=1.1.0123456789abcdef plain=1 >good
	echo "$location" | "$MESSAGE" site=1 branch="$branch" made=1.1.0123456789abcdef >good.zst

	ask 404 '"error":"notfound"' "another path" "$url/sync/v1/exchanges"
	ask 404 '"error":"notfound"' "a longer path" "$url/sync/v1/exchange/x"
	ask 405 'takes POST, not GET' "another method" "$url/sync/v1/exchange"
	ask 405 'takes GET, not POST' "another method for health" -d x "$url/sync/v1/health"
	ask 400 'takes no body' "a body where none belongs" -X GET -d x "$url/sync/v1/health"
	ask 415 '"error":"mediatype"' "another content type" -H "Authorization: Bearer $token" --data-binary @good "$url/sync/v1/exchange"
	ask 401 'no token' "no token" -H 'Content-Type: application/x-libsync' --data-binary @good "$url/sync/v1/exchange"
	ask 401 "this token is nobody's" "a wrong token" -H 'Authorization: Bearer x' -H 'Content-Type: application/x-libsync' --data-binary @good "$url/sync/v1/exchange"
	exchange 400 'Transfer-Encoding is not taken' "a chunked body" -H 'Transfer-Encoding: chunked' --data-binary @good
	exchange 400 'Transfer-Encoding is not taken' "both lengths" -H 'Transfer-Encoding: chunked' -H "Content-Length: 5" --data-binary @good
	exchange 400 'Content-Length is missing' "no length" -X POST -H 'Content-Length:'
	head -c 2000000 /dev/zero >large
	exchange 413 'the body has 2000000 bytes, at most 1048576' "a large body" --data-binary @large
	head -c 900000 /dev/urandom >random
	exchange 400 '"error":"badframe"' "bytes that are no message" --data-binary @random
	exchange 400 '"error":"badframe"' "an empty body" -d ''
	"$MESSAGE" bomb=300 >bomb </dev/null
	same "a bomb is small" yes "$([ "$(wc -c <bomb)" -lt 100000 ] && echo yes)"
	exchange 413 '"error":"toobig"' "a decompression bomb" --data-binary @bomb
	for n in 1 10 $(($(wc -c <good) / 2)) $(($(wc -c <good) - 1)); do
		head -c "$n" good >cut
		exchange 400 '"error":"badframe"' "a message cut after $n bytes" --data-binary @cut
	done
	head -c $(($(wc -c <good.zst) - 3)) good.zst >cut
	exchange 400 '"error":"badframe"' "a compressed message cut short" --data-binary @cut
	sed 's/Shelf/Shelv/' good >altered
	exchange 400 '"error":"badframe"' "an altered frame" --data-binary @altered
	cat good good >twice
	exchange 400 '"error":"badframe"' "what follows the end" --data-binary @twice
	{ printf '{"p":1,"x":'; head -c 5000 /dev/zero | tr '\0' '['; echo; } >deep
	exchange 400 'too deep' "deep JSON" --data-binary @deep
	{ printf '{"p":1,"x":['; printf '{},%.0s' $(seq 20000); printf '{}]}\n'; } >wide
	exchange 400 'too many values' "wide JSON" --data-binary @wide
	"$MESSAGE" site=2 branch="$branch" </dev/null >foreign
	exchange 400 "its token is site 1's" "another site's number" --data-binary @foreign
	printf 'POST /sync/v1/exchange HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/x-libsync\r\nContent-Length: 500\r\n\r\nhalf' "$token" >half
	start=$(date +%s%N)
	exec 3<>"/dev/tcp/127.0.0.1/${url##*:}"
	cat half >&3
	holds "a client that falls silent is answered" timeout 10 grep -q 'the body ended after 4 of 500 bytes' <&3
	exec 3>&-
	same "after its time" yes "$([ $((($(date +%s%N) - start) / 1000000)) -lt 8000 ] && echo yes)"
	exec 3<>"/dev/tcp/127.0.0.1/${url##*:}"
	{ sed 's/500/10/' half; for _ in 1 2 3; do sleep 1.2; printf xx; done; } >&3
	holds "one that is only slow is waited for, however long it takes" timeout 10 grep -q 'badframe' <&3
	exec 3>&-
	start=$(date +%s%N)
	ask 400 '"error":"badframe"' "a client that asks whether to go on" -H 'Expect: 100-continue' --expect100-timeout 15 -H "Authorization: Bearer $token" \
		-H 'Content-Type: application/x-libsync' --data-binary @random "$url/sync/v1/exchange"
	same "is told at once" yes "$([ $((($(date +%s%N) - start) / 1000000)) -lt 5000 ] && echo yes)"
	exec 3<>"/dev/tcp/127.0.0.1/${url##*:}"
	(printf 'GET / HTTP/1.1\r\nX: %s' "$(head -c 20000 /dev/zero | tr '\0' x)" >&3) 2>/dev/null || true # it may hang up before
	holds "headers without end are refused" timeout 10 grep -q '^HTTP/1.1 4\|^$' <&3
	exec 3>&-
	ask 400 '"error":"badrequest"' "registration with deep JSON" -H 'Content-Type: application/json' -d '[[[[[[[[[[[[]]]]]]]]]]]]' "$url/sync/v1/register"
	ask 400 "'secret' is missing" "registration without a secret" -H 'Content-Type: application/json' -d '{"site":"Post"}' "$url/sync/v1/register"
	ask 413 '"error":"toobig"' "a large registration" -H 'Content-Type: application/json' --data-binary @large "$url/sync/v1/register"
	same "nothing of all this has changed anything" "$before" "$(everything)"

	echo '{"e":"item","i":"i1","a":"P","q":"1","d":{"name":"Mine"}}' | "$MESSAGE" site=1 branch="$branch" made=1.1.0123456789abcdef >notmine
	exchange 200 '' "an entity that the site may not edit" --data-binary @notmine
	same "is quarantined, not applied" "BCG 1" "$(sql "SELECT name FROM item WHERE id = 'i1'") $(sql "SELECT count(*) FROM sync_waiting WHERE kind = 'quarantine' AND entity = 'item'")"
	echo '{"e":"location","i":"l9","a":"P","q":"2","d":{"name":"Shelf","code":"l9","on_hold":false,"store_id":"s1","volume":0}}' | "$MESSAGE" site=1 branch="$branch" base=1.1.0123456789abcdef made=2.2.0123456789abcde0 >notours
	exchange 200 '' "a store that is not the site's" --data-binary @notours
	same "is quarantined, not applied" "0 1" "$(sql 'SELECT count(*) FROM location') $(sql "SELECT count(*) FROM sync_waiting WHERE entity = 'location'")"
	echo '{"e":"location","i":"l8","a":"P","q":"3","d":{"name":7,"code":"l8","on_hold":false,"store_id":"s2","volume":0}}' | "$MESSAGE" site=1 branch="$branch" base=2.2.0123456789abcde0 made=3.3.0123456789abcdef >wrongtype
	exchange 200 '' "a wrong type" --data-binary @wrongtype
	same "waits with the field's name" "wrong_type name" "$(sql "SELECT code, field FROM sync_inbox WHERE record_id = 'l8'" | tr '|' ' ')"
	echo '{"e":"requisition","i":"r8","a":"P","q":"4","d":{"status":"LOST"}}' | "$MESSAGE" site=1 branch="$branch" base=3.3.0123456789abcdef made=4.4.0123456789abcdef >badvalue
	exchange 200 '' "a value that is none of an enum's" --data-binary @badvalue
	same "waits with the field's name" "bad_value status" "$(sql "SELECT code, field FROM sync_inbox WHERE record_id = 'r8'" | tr '|' ' ')"
	exchange 200 '' "a request once more" --data-binary @wrongtype
	same "changes nothing" 4 "$(sql 'SELECT in_ordinal FROM sync_site')"
	same "central is well" '{"ok":true' "$(curl -s "$url/sync/v1/health" | head -c 10)"

	for n in 1 2 3 4 5 6 7 8; do
		curl -s -o "reg$n" -D "head$n" -H 'Content-Type: application/json' \
			-d '{"site":"Post","secret":"x","installation":"0123456789abcdef","version":"1"}' "$url/sync/v1/register" &
		pids[n]=$!
	done
	for n in 1 2 3 4 5 6 7 8; do wait "${pids[n]}"; done
	holds "too many registrations at once are told when to come again" grep -q '^Retry-After: [0-9]' head1 head2 head3 head4 head5 head6 head7 head8
	stop "$pid_main"

	serve main --waiting-max 2
	echo '{"e":"unit","i":"u9","a":"P","q":"5","d":{"name":"box","index":1,"is_active":true}}' | "$MESSAGE" site=1 branch="$branch" base=4.4.0123456789abcdef made=5.5.0123456789abcdef >onemore
	before=$(everything)
	exchange 507 '"error":"full","text":"more than 2 edits of this site would wait for a person at central (waiting-max)' "more than a site can make wait" --data-binary @onemore
	same "is not kept" "$before" "$(everything)"
	eventually 5 "status says so" sh -c "'$CENTRAL' status --waiting-max 2 | grep -q '4, full .* full: '"
	holds "a person decides" central waiting discard "$(sql "SELECT id FROM sync_waiting WHERE entity = 'item'")"
	exchange 200 '' "and the same request" --data-binary @onemore
	same "is taken" 5 "$(sql 'SELECT in_ordinal FROM sync_site')"
	stop "$pid_main"
done
