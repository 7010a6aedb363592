-- Our own tables. A line "-- @ both", "-- @ site" or "-- @ central" says which databases have what follows.
-- Words that the dialects spell differently (sync_db_open replaces them): @serial, @blob, @clustered; @id, a text that is
-- compared and ordered by its bytes; @queue, rows go as fast as they come; @updated, rows are changed in place.
-- Times are microseconds since 1970 UTC (_us). Ids of checkpoints and routing transactions are random, 16 hex digits.

-- @ both

CREATE TABLE sync_meta (
	key   @id PRIMARY KEY NOT NULL,  -- format, role, schema, instance (random id of this database), history
	                                 -- (8 hex digits, with which ids of routing transactions begin: others after a loss), option:NAME
	value text NOT NULL
) @clustered;

CREATE TABLE sync_extra (
	entity    @id NOT NULL,
	record_id @id NOT NULL,
	data      text NOT NULL,         -- JSON object: fields that this build does not know, or the whole record of an unknown entity;
	                                 -- central, of an unknown entity: empty when its site has deleted it
	root_id   @id,                   -- of an unknown entity: as received, to be forwarded
	source    bigint,                -- central, of an unknown entity: the site whose record it is
	PRIMARY KEY (entity, record_id)
) @clustered;

CREATE TABLE sync_inbox (
	source       bigint NOT NULL,    -- site that sent it; 0 is central
	entity       @id NOT NULL,
	record_id    @id NOT NULL,
	root_id      @id NOT NULL,       -- id of its group's root record
	seq          bigint NOT NULL,    -- the sender's
	frame        text NOT NULL,      -- the record frame as received, one JSON line
	code         text NOT NULL,      -- why it waits: missing_reference, referenced, local_edit, waiting_edit, group, adopted,
	field        text,               -- the field at fault
	needs_entity @id,                -- what it waits for
	needs_id     @id,
	text         text NOT NULL,      -- the same in words
	received_us  bigint NOT NULL,
	PRIMARY KEY (source, entity, record_id)
) @clustered @queue;
CREATE INDEX sync_inbox_needs ON sync_inbox(needs_entity, needs_id);
CREATE INDEX sync_inbox_root ON sync_inbox(source, root_id);

CREATE TABLE sync_spool (
	source  bigint NOT NULL,         -- site that sent it; 0 is central
	n       bigint NOT NULL,         -- rises per source, never reused: the ordinal of a push, at a site a number of its own
	body    @blob NOT NULL,          -- the message as received: compressed frames
	done    bigint NOT NULL,         -- records of it that are integrated or wait in the inbox
	records bigint NOT NULL,
	upto    bigint NOT NULL,         -- what counts as integrated once all of it is
	part    bigint NOT NULL,         -- 0: whole; 1: its last group goes on in the next message; 2: nothing else is left of it
	received_us bigint NOT NULL,     -- its edits are as old as they say from then on
	PRIMARY KEY (source, n)
) @queue;

CREATE TABLE sync_checkpoint (
	peer     bigint NOT NULL,        -- site; 0 is central
	way      @id NOT NULL,           -- 'push': made by the site; 'all', 'own': routing transactions of the two pull streams
	ordinal  bigint NOT NULL,        -- rises by one per way
	id       @id NOT NULL,
	seq      bigint NOT NULL,        -- push: upto; pull: the position
	abandoned bigint NOT NULL DEFAULT 0, -- central: 1: of a branch that the site left when it was restored
	PRIMARY KEY (peer, way, ordinal)
) @clustered;
CREATE INDEX sync_checkpoint_id ON sync_checkpoint(peer, id);

CREATE TABLE sync_verdict (
	site_id   bigint NOT NULL,       -- whom it is for; at a site 0
	n         bigint NOT NULL,       -- rises per site
	kind      text NOT NULL,         -- refused, waiting, conflict, resolved, leave (field: store), verify
	entity    @id NOT NULL,
	record_id @id NOT NULL,
	seq       bigint NOT NULL,       -- of the edit, the site's
	code      text NOT NULL,
	field     text,
	text      text NOT NULL,
	at_us     bigint NOT NULL,
	PRIMARY KEY (site_id, n)
) @clustered;
CREATE INDEX sync_verdict_record ON sync_verdict(entity, record_id);

CREATE TABLE sync_version (
	entity      @id NOT NULL,        -- entities that any site may edit
	record_id   @id NOT NULL,
	version     @id NOT NULL,        -- "site.branch.seq" of the edit that made the present content
	edited_us   bigint NOT NULL,     -- central: time of receipt minus age
	received_us bigint NOT NULL,
	creator     bigint NOT NULL,     -- site of the first version; 0 is central
	deleted     bigint NOT NULL,     -- 1: that edit deleted it
	base        @id NOT NULL DEFAULT '', -- central: the version that its site had received when it made that edit; empty: none
	PRIMARY KEY (entity, record_id)
) @clustered;
CREATE INDEX sync_version_deleted ON sync_version(received_us) WHERE deleted = 1;

CREATE TABLE sync_exchange (
	id        @serial,
	site_id   bigint NOT NULL,       -- at a site 0
	at_us     bigint NOT NULL,       -- when it began
	ms        bigint NOT NULL,
	pushed    bigint NOT NULL,       -- records
	pulled    bigint NOT NULL,
	bytes_in  bigint NOT NULL,       -- bodies, compressed, as this side sees them
	bytes_out bigint NOT NULL,
	code      text,                  -- null: went well
	text      text
);
CREATE INDEX sync_exchange_site ON sync_exchange(site_id, id);

CREATE TABLE sync_mark (
	entity    @id NOT NULL,          -- the integrator is applying this record; consumed by the first trigger that fires for it
	record_id @id NOT NULL,
	source    bigint NOT NULL,
	PRIMARY KEY (entity, record_id)
) @clustered;

-- @ site

CREATE TABLE sync_changelog (
	entity      @id NOT NULL,
	record_id   @id NOT NULL,
	seq         bigint NOT NULL,     -- of its latest change; rises, never reused
	action      text NOT NULL,       -- P put, D delete
	root_id     @id,                 -- groups only: id of the root record
	old_root_id @id,                 -- when the change moved it from another group
	at_us       bigint NOT NULL,     -- when, by this machine's clock
	base        text,                -- entities that any site may edit: the version that the first unintegrated edit changed
	PRIMARY KEY (entity, record_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX sync_changelog_seq ON sync_changelog(seq);
CREATE INDEX sync_changelog_deleted ON sync_changelog(entity) WHERE action = 'D';
CREATE INDEX sync_changelog_root ON sync_changelog(root_id) WHERE root_id IS NOT NULL;
CREATE INDEX sync_changelog_old_root ON sync_changelog(old_root_id) WHERE old_root_id IS NOT NULL;

CREATE TABLE sync_link (
	id             bigint PRIMARY KEY CHECK (id = 1),
	site_id        bigint NOT NULL,
	name           text NOT NULL,
	url            text NOT NULL,
	token          text NOT NULL,
	installation   text NOT NULL,    -- random id of this installation
	branch         text NOT NULL,    -- random id of this line of history, 8 hex digits
	made_ordinal   bigint NOT NULL,  -- our newest push checkpoint
	made_id        text NOT NULL,
	made_upto      bigint NOT NULL,
	out_ordinal    bigint NOT NULL,  -- what central holds durably, as it last said
	out_id         text NOT NULL,
	out_upto       bigint NOT NULL,
	out_integrated bigint NOT NULL,  -- upto which central has integrated it
	unanswered     bigint NOT NULL,  -- 1: the last request with records had no answer
	all_seq        bigint NOT NULL,  -- durably received of site 0's stream, and the routing transaction that wrote it
	all_id         text NOT NULL,
	own_seq        bigint NOT NULL,
	own_id         text NOT NULL,
	verdict        bigint NOT NULL,  -- highest verdict stored
	load           text,             -- first load: resume token as central gave it; null when operational
	load_total     bigint NOT NULL,
	load_done      bigint NOT NULL,
	more           bigint NOT NULL,  -- records that central said are still to come
	rest           text NOT NULL,    -- where a group goes on whose beginning is spooled, as central gave it; or empty
	echo           bigint NOT NULL DEFAULT 0, -- 1: restored, and not caught up: what this site made is pulled, too
	fork           bigint NOT NULL DEFAULT 0, -- 1: central is to be told where the branch began:
	fork_ordinal   bigint NOT NULL DEFAULT 0, -- at this checkpoint,
	fork_id        text NOT NULL DEFAULT '',
	fork_seq       bigint NOT NULL DEFAULT 0,
	fork_sure      bigint NOT NULL DEFAULT 0, -- with edits upto this that central had confirmed,
	fork_upto      bigint NOT NULL DEFAULT 0, -- and upto this that were made before the site had caught up,
	fork_all       bigint NOT NULL DEFAULT 0, -- while this was held of each stream
	fork_own       bigint NOT NULL DEFAULT 0,
	offer          bigint NOT NULL DEFAULT 0, -- enum sync_loss, 4: see offer.h; nothing but offers is exchanged
	offer_after    bigint NOT NULL DEFAULT 0, -- what is in sync_pulled above is collected into sync_offer,
	offer_lost_seq bigint NOT NULL DEFAULT 0, -- the newest place that was held when it was lost
	offer_lost_id  text NOT NULL DEFAULT '',
	offer_entity   @id,                       -- then what is in the tables from here on; null: they are not gone through
	offer_id       @id,
	offered        bigint NOT NULL DEFAULT 0, -- messages of offers that central has taken,
	offered_id     text NOT NULL DEFAULT '',  -- random id of the offering; empty: there is none, or all that central sent again has come
	offered_entity text NOT NULL DEFAULT '',  -- in them is what is in sync_offer upto here
	offered_record text NOT NULL DEFAULT ''
);

CREATE TABLE sync_pulled (
	n       bigint PRIMARY KEY,      -- rises by one per answer that brought anything
	all_seq bigint NOT NULL,         -- what was held after it
	all_id  text NOT NULL,
	own_seq bigint NOT NULL,
	own_id  text NOT NULL,
	at_us   bigint NOT NULL,
	records bigint NOT NULL,
	ids     @blob                    -- which, compressed; null: forgotten
);

CREATE TABLE sync_offer (
	entity    @id NOT NULL,          -- received since a place that central lost: offered, and kept until central's answer has come
	record_id @id NOT NULL,
	action    text NOT NULL,         -- as received last: P put, D delete, X drop
	seq       bigint NOT NULL,       -- central's, of then; 0: unknown
	PRIMARY KEY (entity, record_id)
) WITHOUT ROWID;

-- @ central

CREATE TABLE sync_changelog (
	seq       @serial,               -- order within the queue, no position
	entity    @id NOT NULL,
	record_id @id NOT NULL,
	action    text NOT NULL,         -- P put, D delete; R: to be sent again to a site
	source    bigint NOT NULL,       -- site whose record the integrator applied, 0 is central itself, -1 nobody; R: that site
	at_us     bigint NOT NULL,
	old       text,                  -- routing values before, JSON array; null for an insert; [] when nobody knows
	new       text                   -- routing values after; R, and a delete of what was not here: id of its group's root as the site has it, or null
) @queue;
CREATE INDEX sync_changelog_own ON sync_changelog(record_id) WHERE source = 0;

CREATE TABLE sync_site (
	site_id        bigint PRIMARY KEY,
	name           text NOT NULL UNIQUE,
	secret_hash    text,             -- argon2id of the one-time secret; kept, to tell another installation from a wrong secret
	token_hash     @id,              -- BLAKE2b-256 of the token, hex
	installation   text,
	revision       bigint NOT NULL DEFAULT 0, -- of name, secret, token, installation and revocation: rises with each change
	created_us     bigint NOT NULL,
	revoked_us     bigint,
	lapsed_us      bigint,           -- when it had been away for longer than deletes are kept: it shows all that it holds when it comes back
	branch         text NOT NULL,    -- of the last stored push
	in_ordinal     bigint NOT NULL,  -- newest stored checkpoint of the site
	in_id          text NOT NULL,
	in_upto        bigint NOT NULL,
	in_highest     bigint NOT NULL,  -- highest seq seen from it
	in_integrated  bigint NOT NULL,  -- upto which its records are integrated
	spooled        bigint NOT NULL,  -- messages in sync_spool
	all_seq        bigint NOT NULL,  -- what it said that it durably holds
	all_id         text NOT NULL,
	own_seq        bigint NOT NULL,
	own_id         text NOT NULL,
	verdict        bigint NOT NULL,  -- newest verdict for it
	verdict_seen   bigint NOT NULL,
	loaded         bigint NOT NULL,  -- 1: its first load is over
	unpushed       bigint NOT NULL,  -- what it last said that it still has to push
	given          text,             -- places where bundles for it ended, the newest last, a blank behind each
	last_seen_us   bigint,
	version        text,             -- of its program
	schema         bigint,
	fork_sure      bigint NOT NULL DEFAULT 0, -- edits of its present branch upto here are older than whatever came after,
	fork_upto      bigint NOT NULL DEFAULT 0, -- upto here they may have been overtaken by what it lost, which
	fork_all       bigint NOT NULL DEFAULT 0, -- was routed above these places
	fork_own       bigint NOT NULL DEFAULT 0,
	fork_above     bigint NOT NULL DEFAULT 0, -- edits upto here came before the branch began,
	fork_routed    bigint NOT NULL DEFAULT 0, -- and what is routed above here of its own is of the branch itself
	rival          text,             -- branch of a second copy of its database: both are refused until a person says which lives
	stopped        text,             -- branch that a person has stopped
	offered        bigint NOT NULL DEFAULT 0, -- messages of offers that were taken
	offered_id     text NOT NULL DEFAULT '',  -- in the offering with this id
	healed_us      bigint            -- when it last offered what central had lost
) @updated;
CREATE UNIQUE INDEX sync_site_token ON sync_site(token_hash);

CREATE TABLE sync_store (
	store_id     @id PRIMARY KEY NOT NULL,
	site_id      bigint NOT NULL,    -- where it is active for routing; 0: nowhere
	revision     bigint NOT NULL DEFAULT 0, -- of site_id: rises with each change
	next_site_id bigint,             -- a move waits until the old site has pushed everything
	notice       bigint NOT NULL     -- number of the verdict that told the old site; 0 none
) @clustered;
CREATE INDEX sync_store_site ON sync_store(site_id);

CREATE TABLE sync_outbox (
	site_id   bigint NOT NULL,       -- 0: every site
	entity    @id NOT NULL,
	record_id @id NOT NULL,
	seq       bigint NOT NULL,       -- moves up with each change; given to committed changes only
	action    text NOT NULL,         -- P put, D delete, X drop: a hint, decided at reading
	source    bigint NOT NULL,       -- site that has it already; -1: nobody is skipped
	root_id   @id,                   -- groups only
	PRIMARY KEY (site_id, entity, record_id)
) @clustered;
CREATE UNIQUE INDEX sync_outbox_seq ON sync_outbox(site_id, seq, source);
CREATE INDEX sync_outbox_gone ON sync_outbox(site_id, root_id, seq) WHERE action <> 'P';
CREATE INDEX sync_outbox_holder ON sync_outbox(record_id) WHERE site_id > 0;

CREATE TABLE sync_routing (
	seq     bigint PRIMARY KEY,      -- highest outbox seq that this routing transaction gave
	id      @id NOT NULL,
	at_us   bigint NOT NULL,
	ordinal bigint NOT NULL          -- rises by one; decides which are kept for long
);
CREATE INDEX sync_routing_at ON sync_routing(at_us);
CREATE INDEX sync_routing_id ON sync_routing(id);

CREATE TABLE sync_job (
	id      @serial,
	entity  @id NOT NULL,            -- what changed: store, name, a join, what a condition looks at, or an option
	keys    text NOT NULL,           -- JSON array of ids: what the dependent records name; of kind store it is one
	kind    text NOT NULL,           -- store, transfer, through, condition, option
	sites   text NOT NULL,           -- JSON array: sites that may gain or lose records; 0 stands for any
	step    text NOT NULL,           -- what is next, by entity and number of its route: "invoice 1"; empty: the first
	last_id @id NOT NULL,            -- last record id done in that step
	done    bigint NOT NULL          -- records so far
) @queue;

CREATE TABLE sync_seen (
	entity    @id NOT NULL,          -- versions that central has had: a repeat is told by them
	record_id @id NOT NULL,
	version   @id NOT NULL,
	at_us     bigint NOT NULL,
	PRIMARY KEY (entity, record_id, version)
) @clustered;
CREATE INDEX sync_seen_at ON sync_seen(at_us);

CREATE TABLE sync_waiting (
	id        @serial,
	kind      text NOT NULL,         -- quarantine, grant, conflict, recovered
	site_id   bigint NOT NULL,       -- who sent it
	entity    @id NOT NULL,
	record_id @id NOT NULL,
	seq       bigint NOT NULL,
	frame     text NOT NULL,         -- the record frame as received
	code      text NOT NULL,
	field     text,
	text      text NOT NULL,
	at_us     bigint NOT NULL,
	done_us   bigint,                -- when a person accepted or discarded it
	verdict   text,                  -- accepted, discarded; recovered: also equal, superseded
	since     bigint NOT NULL DEFAULT 0, -- recovered: what is routed above was changed since the history was lost
	history   @id NOT NULL DEFAULT '', -- recovered: the lost history, in which seq counts; empty: unknown
	root_entity @id,                 -- its group
	root_id   @id
);
CREATE INDEX sync_waiting_open ON sync_waiting(site_id) WHERE done_us IS NULL;
CREATE INDEX sync_waiting_done ON sync_waiting(done_us) WHERE done_us IS NOT NULL;
CREATE INDEX sync_waiting_record ON sync_waiting(entity, record_id);
CREATE INDEX sync_waiting_root ON sync_waiting(root_entity, root_id) WHERE done_us IS NULL AND kind = 'recovered';
CREATE INDEX sync_waiting_refused ON sync_waiting(root_entity, root_id) WHERE done_us IS NULL AND code = 'incomplete';

CREATE TABLE sync_verified (
	site_id  bigint PRIMARY KEY NOT NULL,
	asked_us bigint NOT NULL,        -- when central last asked for a verification; 0: never
	at_us    bigint NOT NULL,        -- when the site last reported one; 0: never
	entities bigint NOT NULL,
	records  bigint NOT NULL,        -- that it holds in the end
	digest   text NOT NULL,          -- over all of them
	unequal  bigint NOT NULL         -- entities in which differences were left
);

CREATE TABLE sync_grant (
	site_id   bigint NOT NULL,       -- may make this record visible to its stores
	entity    @id NOT NULL,
	record_id @id NOT NULL,
	at_us     bigint NOT NULL,
	PRIMARY KEY (site_id, entity, record_id)
) @clustered;
