#!/bin/bash
# An exchange in a file: a site that never sees the network registers, loads, pushes and pulls through bundles.
. "$(dirname "$0")/lib.sh"

# figure NAME FILE: of a JSON report
figure()
{
	sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$2"
}

# alter FILE BYTE: a copy of it, with another byte there
alter()
{
	cp "$1" altered
	printf "\\x$(printf %02x $(($(od -An -tu1 -j "$2" -N 1 "$1") ^ 1)))" | dd of=altered bs=1 seek="$2" conv=notrunc status=none
}

for kind in $(kinds); do
	echo "-- $kind"
	here=$work/$kind
	mkdir "$here"
	cd "$here"
	new_database "$kind"
	country
	central site add District --store s1 >d.secret 2>/dev/null
	central site add Post --store s2 >p.secret 2>/dev/null

	refused "a site that never registered needs its secret" 1 "its one-time secret is needed, with --secret-file" central bundle Post load.bundle
	refused "and the right one" 1 "name or its secret is wrong" central bundle Post load.bundle --secret-file d.secret
	same "nothing was written" "" "$(ls | grep bundle || true)"
	holds "central writes a first load" central bundle Post load.bundle --secret-file p.secret
	same "for its owner alone" 600 "$(stat -c %a load.bundle)"
	same "in which nothing can be read" 0 "$(grep -c -a BCG load.bundle || true)"
	refused "over nothing but a bundle" 1 "exists and is no bundle" central bundle Post names.csv --secret-file p.secret
	refused "a site needs the file that it names" 1 "nowhere: No such file" remote p.db init --bundle nowhere --secret-file p.secret
	refused "and that it is a bundle" 1 "is not a bundle" remote p.db init --bundle names.csv --secret-file p.secret
	same "without them it makes no database" "" "$(ls | grep 'p\.db' || true)"
	refused "which another site cannot take" 1 "is of site 'Post'" remote d.db init --bundle load.bundle --site District --secret-file d.secret
	refused "nor another secret open" 1 "another secret" remote d.db init --bundle load.bundle --secret-file d.secret
	alter load.bundle 60
	refused "nor can it be altered in what is told of it" 1 "altered" remote p.db init --bundle altered --secret-file p.secret
	alter load.bundle $(($(stat -c %s load.bundle) - 100))
	refused "or in what is sealed" 1 "altered" remote p.db init --bundle altered --secret-file p.secret
	head -c -10 load.bundle >cut
	refused "or cut short" 1 "cut short" remote p.db init --bundle cut --secret-file p.secret
	sed '1s/1/2/' load.bundle >newer
	refused "and a newer format is told from a damaged one" 1 "newer version" remote p.db init --bundle newer --secret-file p.secret
	same "after all that the site is not registered" 0 "$(at p.db "SELECT count(*) FROM sync_link")"
	holds "it registers and loads from the file" remote p.db init --bundle load.bundle --secret-file p.secret
	same "it has the item" BCG "$(at p.db "SELECT name FROM item WHERE id = 'i1'")"
	refused "once" 1 "operational already: remote accept" remote p.db init --bundle load.bundle --secret-file p.secret

	location p.db l1
	requisition p.db r1
	holds "it writes its edits into a file" remote p.db bundle edits1.bundle
	location p.db l2
	holds "and again" remote p.db bundle edits2.bundle
	refused "which is not for a site" 1 "central accept takes it" remote p.db accept edits2.bundle
	cp edits2.bundle altered
	printf x >>altered
	refused "nor may it grow" 1 "was altered" central accept altered
	same "nothing of it is at central" 0 "$(sql "SELECT count(*) FROM location")"
	holds "central takes the second" central accept edits2.bundle --json
	cp "$work/out" seen
	same "with all three edits" 3 "$(figure records seen)"
	same "they are there" 2 "$(sql "SELECT count(*) FROM location")"
	holds "then the first" central accept edits1.bundle
	cp "$work/out" seen
	holds "of which nothing is new" grep -q "^done before" seen
	location p.db l3
	remote p.db bundle edits3.bundle >/dev/null
	holds "a third one goes on from there, though the site has heard nothing" central accept edits3.bundle
	same "and brings what is new" 3 "$(sql "SELECT count(*) FROM location")"
	same "central knows that the site is at work" ok "$(central site list --json | sed 's/.*"name":"Post"[^}]*"state":"\([a-z]*\)".*/\1/')"

	sed -i 's/"BCG"/"BCG vaccine"/' items.jsonl
	central import item items.jsonl >/dev/null
	holds "central writes what is new" central bundle Post news1.bundle --json
	cp "$work/out" seen
	same "and no more" 1 "$(figure records seen)"
	sed -i 's/BCG vaccine/BCG 20/' items.jsonl
	central import item items.jsonl >/dev/null
	echo '{"id":"i2","name":"OPV","code":"opv","ven_category":"V","default_pack_size":20,"type":"STOCK","legacy_record":"{}","is_active":true,"is_vaccine":true,"vaccine_doses":20,"volume_per_pack":0.5}' >more.jsonl
	central import item more.jsonl >/dev/null
	central bundle Post news2.bundle >/dev/null
	holds "the site takes it" remote p.db accept news1.bundle
	same "the item is as it was then" "BCG vaccine" "$(at p.db "SELECT name FROM item WHERE id = 'i1'")"
	same "central's word on its edits has come with it" 0 "$(remote p.db status --json | sed 's/.*"unpushed":\([0-9]*\).*/\1/')"
	holds "it takes the second" remote p.db accept news2.bundle
	same "which has the newest" "BCG 20" "$(at p.db "SELECT name FROM item WHERE id = 'i1'")"
	holds "the first once more" remote p.db accept news1.bundle
	cp "$work/out" seen
	holds "brings nothing" grep -q "^nothing new" seen
	same "and takes nothing back" "BCG 20" "$(at p.db "SELECT name FROM item WHERE id = 'i1'")"

	refused "what has no address cannot exchange" 64 "has no address of central: --url names it" remote p.db sync
	serve main
	location p.db l4
	holds "its first exchange over the network" remote p.db sync --url "$url" --json
	cp "$work/out" seen
	same "sends only what is newer" 1 "$(figure pushed seen)"
	same "and brings as little" 0 "$(figure pulled seen)"
	holds "both sides are equal" remote p.db verify --url "$url"
	remote d.db init --url "$url" --site District --secret-file d.secret >/dev/null
	holds "the requisition of the file is where it belongs" same "there" 1 "$(at d.db "SELECT count(*) FROM requisition WHERE id = 'r1'")"
	refused "a bundle of another site is refused by its name" 1 "is of site 'Post'" remote d.db accept news2.bundle

	central site reset Post >p2.secret 2>/dev/null
	refused "a bundle from before a reset is refused" 1 "another installation of site 'Post'" central accept edits3.bundle
	holds "the new secret loads anew" central bundle Post again.bundle --secret-file p2.secret
	holds "into another file, with central's address" remote q.db init --bundle again.bundle --secret-file p2.secret --url "$url"
	holds "which is equal at once" remote q.db verify
	same "with what the first had pushed" 4 "$(at q.db "SELECT count(*) FROM location")"
	central site revoke Post >/dev/null
	refused "a revoked site gets none" 1 "has been revoked" central bundle Post none.bundle
	stop "$pid_main"
done
