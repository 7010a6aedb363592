#!/bin/bash
# A record travels: from a site's table to central, to the other site, and back as what central decides.
. "$(dirname "$0")/lib.sh"

for kind in $(kinds); do
	echo "-- $kind"
	here=$work/$kind
	mkdir "$here"
	cd "$here"
	new_database "$kind"
	country
	serve main
	new_site District d.db s1
	new_site Post p.db s2
	same "a first load brings stores, names and items" "2 2 1" "$(at p.db 'SELECT (SELECT count(*) FROM store), (SELECT count(*) FROM name), (SELECT count(*) FROM item)' | tr '|' ' ')"
	holds "init again finds nothing to do" remote p.db init
	holds "it is the site's last exchange" grep -q "^exchange .*, 0 pushed, 5 pulled" <(remote p.db status)
	eventually 5 "and central's" eval 'central status | grep -q "^Post .* 0 up, 5 down"'

	requisition p.db r1
	location p.db l1
	remote p.db show >shown
	same "remote show prints what the next round pushes" "location requisition" "$(sed 's/^{"e":"\([a-z]*\)".*/\1/' shown | sort | tr '\n' ' ' | sed 's/ $//')"
	holds "a round pushes" remote p.db sync --json
	same "two records" '"pushed":2' "$(grep -o '"pushed":2' "$work/out")"
	same "central has both, with all 64 bits" "9007199254740993 1" "$(sql "SELECT requisition_number FROM requisition WHERE id = 'r1'") $(sql "SELECT count(*) FROM location WHERE id = 'l1'")"
	holds "the other site pulls" remote d.db sync
	same "it has the requisition, and not the location" "1 0" "$(at d.db 'SELECT (SELECT count(*) FROM requisition), (SELECT count(*) FROM location)' | tr '|' ' ')"

	sql "UPDATE item SET name = 'BCG 20 doses' WHERE id = 'i1'"
	holds "central's own edit, in plain SQL" remote p.db sync
	same "reaches a site" "BCG 20 doses" "$(at p.db "SELECT name FROM item WHERE id = 'i1'")"

	at p.db "UPDATE requisition SET status = 'FINALISED' WHERE id = 'r1'; DELETE FROM location WHERE id = 'l1'"
	holds "an update and a delete" remote p.db sync
	holds "are pulled" remote d.db sync
	same "the update is at the other site" FINALISED "$(at d.db "SELECT status FROM requisition WHERE id = 'r1'")"
	same "the deleted record is gone at central" 0 "$(sql "SELECT count(*) FROM location")"

	at p.db "UPDATE item SET name = 'mine' WHERE id = 'i1'"
	refused "a site may not edit what central owns" 1 "0 edits waiting at central, 1 not taken" remote p.db sync
	same "central keeps its own" "BCG 20 doses" "$(sql "SELECT name FROM item WHERE id = 'i1'")"
	refused "what is left makes a round incomplete" 1 '"error":"incomplete"' remote p.db sync --json
	same "and sends it back" "BCG 20 doses" "$(at p.db "SELECT name FROM item WHERE id = 'i1'")"
	remote p.db status >status
	holds "status at the site tells which" grep -q "refused: item i1" status
	holds "status at central as well" grep -q "quarantine from Post: item i1" <(central status)
	waiting=$(central waiting list --json | sed 's/.*"id":\([0-9]*\).*/\1/')
	holds "a person accepts it" central waiting accept "$waiting"
	same "it is central's own now" mine "$(sql "SELECT name FROM item WHERE id = 'i1'")"
	holds "and both sides are even again" remote p.db sync
	same "at the site" mine "$(at p.db "SELECT name FROM item WHERE id = 'i1'")"
	holds "at the other" remote d.db sync
	same "too" mine "$(at d.db "SELECT name FROM item WHERE id = 'i1'")"

	location p.db l2
	holds "a location" remote p.db sync
	same "a store's move waits until its old site has pushed and confirmed" waits "$(central store move s2 District | cut -d: -f1)"
	location p.db l3
	holds "which it does" remote p.db sync
	eventually 10 "the new site gets its records" eval 'remote d.db sync >/dev/null && [ "$(at d.db "SELECT count(*) FROM location")" = 2 ]'
	eventually 10 "the old one lets them go" eval 'remote p.db sync >/dev/null && [ "$(at p.db "SELECT count(*) FROM location")" = 0 ]'

	new_site Ward w.db
	printf 'id,name,code,description,is_active,is_default_price_list\nm1,EPI,epi,none,true,false\n' >lists.csv
	printf 'id,item_id,master_list_id\nm1a,i1,m1\n' >lines.csv
	printf 'id,master_list_id,name_id\nj1,m1,n1\n' >joins.csv
	holds "a master list" central import master_list lists.csv
	holds "with a line" central import master_list_line lines.csv
	holds "which a name has" central import master_list_name_join joins.csv
	holds "goes" remote w.db sync
	same "to every site" 1 "$(at w.db "SELECT count(*) FROM master_list_line")"
	same "an installation may choose otherwise" '"state":"changed"' "$(central option master-lists joined --json | grep -o '"state":"[a-z]*"')"
	eventually 20 "a site lets go of a list that is not its store's" eval 'remote w.db sync >/dev/null && [ "$(at w.db "SELECT count(*) FROM master_list_line")" = 0 ]'
	holds "another round" remote d.db sync
	same "the site whose store's it is has it" 1 "$(at d.db "SELECT count(*) FROM master_list_line")"
	same "central option tells" '"value":"joined","under_way":false' "$(central option --json | grep -o '"value":"joined","under_way":false')"
	holds "to people, too" grep -q "^master-lists  joined  *yes " <(central option)
	refused "what cannot be chosen is told" 64 "master-lists is everywhere or joined, not 'maybe'" central option master-lists maybe
	refused "and what is no option" 64 "no option 'lists': there is master-lists" central option lists joined
	stop "$pid_main"
done
