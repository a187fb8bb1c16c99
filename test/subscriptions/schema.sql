CREATE TABLE _migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL);

CREATE TABLE attempts (
        id INTEGER PRIMARY KEY,
        topic TEXT NOT NULL,
        replay TEXT,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        at INTEGER NOT NULL,
        total INTEGER NOT NULL,
        body TEXT NOT NULL
      , request TEXT);

CREATE TABLE detachments (attachment TEXT PRIMARY KEY, topic TEXT NOT NULL, due INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE exceptions (
        lane INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        attempts INTEGER NOT NULL,                 -- in all
        tries INTEGER NOT NULL,                    -- in the present schedule
        due INTEGER NOT NULL,
        lease INTEGER,
        redriven INTEGER NOT NULL DEFAULT 0,
        event TEXT,                                -- a redriven one's, whole: the log may not have it any more
        first_attempt_at INTEGER,
        last_status INTEGER,
        last_error TEXT, key TEXT, batch INTEGER, tokens TEXT, behind INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (lane, sequence)
      ) WITHOUT ROWID;

CREATE INDEX exceptions_batch ON exceptions (batch) WHERE batch IS NOT NULL;

CREATE INDEX exceptions_due ON exceptions (behind, due) WHERE lease IS NULL;

CREATE INDEX exceptions_key ON exceptions (lane, key) WHERE key IS NOT NULL AND redriven = 0;

CREATE INDEX exceptions_lane_due ON exceptions (lane, behind, due) WHERE lease IS NULL;

CREATE INDEX exceptions_redriven ON exceptions (lane, sequence) WHERE redriven = 1;

CREATE TABLE history (
        topic TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        filter TEXT,                                -- the filter's; null: skipped
        PRIMARY KEY (topic, sequence)
      ) WITHOUT ROWID;

CREATE TABLE holds (
        lane INTEGER NOT NULL,
        key TEXT NOT NULL,
        first INTEGER NOT NULL,
        blocked INTEGER NOT NULL,
        PRIMARY KEY (lane, key)
      ) WITHOUT ROWID;

CREATE INDEX holds_open ON holds (lane, key, first) WHERE blocked = 0;

CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        job TEXT NOT NULL,
        after_id TEXT NOT NULL
      ) WITHOUT ROWID;

CREATE TABLE lanes (
        id INTEGER PRIMARY KEY,
        topic TEXT NOT NULL,
        replay TEXT,
        status TEXT NOT NULL,                      -- attaching, active, removed; a replay: active, done, cancelled, failed
        attachment TEXT NOT NULL,
        exact INTEGER NOT NULL,                    -- named, rather than matched by a pattern
        origin INTEGER NOT NULL,                   -- delivered + dead + pending + filtered + skipped + discarded = next - 1 - origin
        start INTEGER NOT NULL,
        next INTEGER NOT NULL,                     -- first sequence not examined
        until INTEGER,                             -- a replay's last
        parked INTEGER,                            -- the ticket of its park in the log
        types TEXT NOT NULL,                       -- a replay's own filter
        rate_count INTEGER,
        rate_span INTEGER,
        rate_cursor INTEGER NOT NULL DEFAULT 0,    -- the next free rate slot
        delivered INTEGER NOT NULL DEFAULT 0,
        filtered INTEGER NOT NULL DEFAULT 0,
        skipped INTEGER NOT NULL DEFAULT 0,
        discarded INTEGER NOT NULL DEFAULT 0,
        dead INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0,         -- attempts
        in_flight INTEGER NOT NULL DEFAULT 0,      -- events in leases
        retrying INTEGER NOT NULL DEFAULT 0,       -- exceptions not in a lease
        created_at INTEGER NOT NULL,
        ended_at INTEGER,
        error TEXT,
        mirrored INTEGER NOT NULL DEFAULT 1        -- 0: a replay the catalogue does not know yet
      , cel TEXT, held INTEGER NOT NULL DEFAULT 0);

CREATE INDEX lanes_attaching ON lanes (id) WHERE status = 'attaching';

CREATE INDEX lanes_of_topic ON lanes (topic) WHERE replay IS NULL;

CREATE INDEX lanes_replay ON lanes (replay) WHERE replay IS NOT NULL;

CREATE INDEX lanes_replaying ON lanes (topic) WHERE replay IS NOT NULL AND status = 'active';

CREATE INDEX lanes_retrying ON lanes (retrying) WHERE retrying > 0;

CREATE INDEX lanes_unmirrored ON lanes (id) WHERE mirrored = 0;

CREATE INDEX lanes_unparked ON lanes (id) WHERE parked IS NULL AND status IN ('active', 'attaching');

CREATE TABLE leases (
        id INTEGER PRIMARY KEY,
        lane INTEGER NOT NULL,
        retry INTEGER NOT NULL,                    -- its events have exception rows
        sequences TEXT NOT NULL,                   -- JSON, ascending: those not settled yet
        count INTEGER NOT NULL,
        token TEXT,                                -- of the claim, while there is one
        claims INTEGER NOT NULL DEFAULT 0,         -- without a settle since
        sends INTEGER NOT NULL DEFAULT 0,
        due INTEGER NOT NULL,                      -- claimed: its deadline; else when to send again
        target_version INTEGER NOT NULL DEFAULT 0  -- at the claim
      , keys TEXT, batch INTEGER, paced INTEGER NOT NULL DEFAULT 0, held_since INTEGER, held_for INTEGER, strays TEXT);

CREATE TABLE letters (
        topic TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        lane INTEGER,                              -- the lane that counts it as dead (or discarded); null: none does
        state TEXT NOT NULL,                       -- open, redriven, resolved, discarded
        reason TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        last_status INTEGER,
        last_error TEXT,
        first_attempt_at INTEGER,
        died_at INTEGER NOT NULL,
        redriven_at INTEGER,
        resolved_at INTEGER,
        discarded_at INTEGER,
        event TEXT,                                -- kept until D1 has it, where the log may lose it
        version INTEGER NOT NULL,
        dirty INTEGER NOT NULL, replayed INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (topic, sequence)
      ) WITHOUT ROWID;

CREATE INDEX letters_dirty ON letters (dirty) WHERE dirty = 1;

CREATE INDEX letters_unsent ON letters (topic, sequence) WHERE dirty = 1 AND event IS NULL;

CREATE TABLE "notices" (
        position INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        type TEXT NOT NULL,
        at INTEGER NOT NULL,
        data TEXT NOT NULL,
        open INTEGER
      );

CREATE TABLE skipped_holds (
        topic TEXT NOT NULL,
        key TEXT NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        PRIMARY KEY (topic, key, first)
      ) WITHOUT ROWID;

CREATE TABLE skips (topic TEXT NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (topic, sequence)) WITHOUT ROWID;

CREATE TABLE stats (
        id INTEGER PRIMARY KEY CHECK (id = 0),
        through INTEGER NOT NULL,
        total INTEGER NOT NULL,                    -- of attempts, at that row
        body TEXT NOT NULL
      );

CREATE TABLE subscription (
        id INTEGER PRIMARY KEY CHECK (id = 0),
        document TEXT,                             -- null once deleted
        incarnation INTEGER NOT NULL,              -- counts the makings under this name
        version INTEGER NOT NULL,                  -- of the configuration; its ETag
        target_version INTEGER NOT NULL,           -- of the url: a 410 or a failure streak counts for the present one only
        paused INTEGER NOT NULL,
        disabled_reason TEXT,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        secret TEXT,                               -- sealed
        previous_secret TEXT,                      -- sealed
        previous_expires_at INTEGER,
        streak INTEGER NOT NULL DEFAULT 0,         -- failures in a row without a success
        probe_at INTEGER,                          -- while failing: when the next event of a log may be the probe
        probe_delay INTEGER NOT NULL DEFAULT 0,
        slow INTEGER NOT NULL DEFAULT 0,
        mirror_version INTEGER NOT NULL,           -- of the catalogue's row
        mirror_dirty INTEGER NOT NULL,
        stalled_at INTEGER,
        attach_after TEXT,                         -- the last topic that was held against the patterns; null when all were
        healed INTEGER NOT NULL DEFAULT 0,         -- how often the sweep had to wake something
        alarm_failures INTEGER NOT NULL DEFAULT 0
      , letter_version INTEGER NOT NULL DEFAULT 0, failing_since INTEGER, patterns_since TEXT NOT NULL DEFAULT '{}', obstacle TEXT, obstacle_since INTEGER, told TEXT, told_at INTEGER NOT NULL DEFAULT 0, deaths TEXT NOT NULL DEFAULT '{}', ordering TEXT NOT NULL DEFAULT 'none', consent TEXT, consent_token TEXT, consent_due INTEGER, consent_delay INTEGER NOT NULL DEFAULT 0, consent_reason TEXT, granted_rate INTEGER, hub TEXT, rate_cursor INTEGER NOT NULL DEFAULT 0, rate_booked TEXT NOT NULL DEFAULT '[]', concurrency REAL, slowed_since INTEGER, halved_at INTEGER NOT NULL DEFAULT 0, retry_after INTEGER);
