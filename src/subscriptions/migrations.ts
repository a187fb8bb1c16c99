import type { Migration } from '../storage/migrate.ts';

/** The schema of a Subscription's SQLite. Times are milliseconds since the epoch. A released step never changes. */
export const MIGRATIONS: readonly Migration[] = [
  {
    name: 'start',
    sql: `
      -- One row: what the subscription is and how its receiver does.
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
      );

      -- A cursor through one topic: live (replay is null) or a replay's.
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
      );
      CREATE INDEX lanes_topic ON lanes (topic);
      CREATE INDEX lanes_unparked ON lanes (id) WHERE parked IS NULL AND status IN ('active', 'attaching');
      CREATE INDEX lanes_replay ON lanes (replay) WHERE replay IS NOT NULL;
      CREATE INDEX lanes_unmirrored ON lanes (id) WHERE mirrored = 0;

      -- Bounded by maxInFlight.
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
      );

      -- What did not go well: waiting for its retry, or redriven.
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
        last_error TEXT,
        PRIMARY KEY (lane, sequence)
      ) WITHOUT ROWID;
      CREATE INDEX exceptions_due ON exceptions (due) WHERE lease IS NULL;

      -- Dead letters: the outbox to D1 (dirty), and the truth about which are open.
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
        dirty INTEGER NOT NULL,
        PRIMARY KEY (topic, sequence)
      ) WITHOUT ROWID;
      CREATE INDEX letters_dirty ON letters (dirty) WHERE dirty = 1;

      -- One row a settle. total: attempts recorded up to and with this row, so that trimming counts nothing.
      CREATE TABLE attempts (
        id INTEGER PRIMARY KEY,
        topic TEXT NOT NULL,
        replay TEXT,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        at INTEGER NOT NULL,
        total INTEGER NOT NULL,
        body TEXT NOT NULL
      );

      -- What was decided about the sequences from here on: a filter, or that they are skipped.
      CREATE TABLE history (
        topic TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        types TEXT,                                -- the filter's; null: skipped
        PRIMARY KEY (topic, sequence)
      ) WITHOUT ROWID;

      -- Deliveries that a seek dropped.
      CREATE TABLE skips (topic TEXT NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (topic, sequence)) WITHOUT ROWID;

      -- Attachments a log has to forget, and those on their way that nobody may have been told of yet.
      CREATE TABLE detachments (attachment TEXT PRIMARY KEY, topic TEXT NOT NULL, due INTEGER NOT NULL) WITHOUT ROWID;

      CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        job TEXT NOT NULL,
        after_id TEXT NOT NULL
      ) WITHOUT ROWID;
    `,
  },
  {
    name: 'sturdier',
    sql: `
      -- The last version of a letter that was given out: D1 keeps letters whose rows here are long gone.
      ALTER TABLE subscription ADD COLUMN letter_version INTEGER NOT NULL DEFAULT 0;
      UPDATE subscription SET letter_version = 1000000 + (SELECT coalesce(max(version), 0) FROM letters);
      -- The first failure since the last success.
      ALTER TABLE subscription ADD COLUMN failing_since INTEGER;
      -- JSON: since when each pattern has been one, where not since the making.
      ALTER TABLE subscription ADD COLUMN patterns_since TEXT NOT NULL DEFAULT '{}';
      -- 1: it died in a replay only, so that what the live lane says of the event is something else.
      ALTER TABLE letters ADD COLUMN replayed INTEGER NOT NULL DEFAULT 0;

      -- Events for the hub's own topic, until it has them.
      CREATE TABLE notices (id TEXT PRIMARY KEY, event TEXT NOT NULL) WITHOUT ROWID;

      DROP INDEX lanes_topic;
      CREATE INDEX lanes_of_topic ON lanes (topic) WHERE replay IS NULL;
      CREATE INDEX lanes_replaying ON lanes (topic) WHERE replay IS NOT NULL AND status = 'active';
      CREATE INDEX lanes_attaching ON lanes (id) WHERE status = 'attaching';
      CREATE INDEX lanes_retrying ON lanes (retrying) WHERE retrying > 0;
      CREATE INDEX exceptions_redriven ON exceptions (lane, sequence) WHERE redriven = 1;
      CREATE INDEX letters_unsent ON letters (topic, sequence) WHERE dirty = 1 AND event IS NULL;
    `,
  },
  {
    name: 'delivery',
    sql: `
      -- What a configuration says since.
      UPDATE subscription SET document = json_insert(document,
        '$.filter.cel', json('null'), '$.transform', json('null'), '$.ordering', 'none',
        '$.disableAfterMs', 432000000, '$.attempts', json('{"maxCount":10000,"maxAgeMs":604800000}'),
        '$.delivery.format', 'structured', '$.delivery.rateLimit', json('null'), '$.delivery.maxBatch', 1,
        '$.delivery.handshake', json('false'))
        WHERE document IS NOT NULL;

      -- What stands in the way of all deliveries and is no failure of the receiver (its name can't be looked up), since when.
      ALTER TABLE subscription ADD COLUMN obstacle TEXT;
      ALTER TABLE subscription ADD COLUMN obstacle_since INTEGER;
      -- The catalogue is to know under which secret of the hub each subscription's own is sealed.
      UPDATE subscription SET mirror_version = mirror_version + 1, mirror_dirty = 1 WHERE document IS NOT NULL;

      -- What the requests of a settle had in common: JSON; null: nothing was sent, or it is not known.
      ALTER TABLE attempts ADD COLUMN request TEXT;
      -- One row: the attempts counted, up to the row 'through' of theirs; later rows are counted whenever somebody asks.
      CREATE TABLE stats (
        id INTEGER PRIMARY KEY CHECK (id = 0),
        through INTEGER NOT NULL,
        total INTEGER NOT NULL,                    -- of attempts, at that row
        body TEXT NOT NULL
      );
      INSERT INTO stats SELECT 0, max(id), max(total), '' FROM attempts HAVING max(id) IS NOT NULL;
      -- What decides is the whole filter, an expression too; that of a replay's own.
      ALTER TABLE history RENAME COLUMN types TO filter;
      UPDATE history SET filter = json_object('types', json(filter), 'cel', NULL) WHERE filter IS NOT NULL;
      ALTER TABLE lanes ADD COLUMN cel TEXT;
      -- What was told last on the hub's own topic of how the receiver does: failing, disabled, error; null once it was back. And when.
      ALTER TABLE subscription ADD COLUMN told TEXT;
      ALTER TABLE subscription ADD COLUMN told_at INTEGER NOT NULL DEFAULT 0;
      -- JSON: how many letters were opened ever, by reason.
      ALTER TABLE subscription ADD COLUMN deaths TEXT NOT NULL DEFAULT '{}';
      -- Events for the hub's own topic, in order, until it has them. open: 1: more deaths are counted into it; 0: no more
      -- are; null: it is told as it was written.
      CREATE TABLE notices_2 (
        position INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        type TEXT NOT NULL,
        at INTEGER NOT NULL,
        data TEXT NOT NULL,
        open INTEGER
      );
      INSERT INTO notices_2 (id, type, at, data)
        SELECT id, event ->> '$.type', CAST(round(unixepoch(event ->> '$.time', 'subsec') * 1000) AS INTEGER), event -> '$.data'
        FROM (SELECT id, event ->> '$.json' AS event FROM notices) ORDER BY id;
      DROP TABLE notices;
      ALTER TABLE notices_2 RENAME TO notices;
      -- Order. By what deliveries are ordered at present: the document's ordering once nothing made by another is in flight.
      ALTER TABLE subscription ADD COLUMN ordering TEXT NOT NULL DEFAULT 'none';
      -- Passed by the cursor behind a key that is not free; nothing else of them is written.
      ALTER TABLE lanes ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
      -- JSON, one for each of the sequences: the key whose turn it is, null where there is none. Null: none has one.
      ALTER TABLE leases ADD COLUMN keys TEXT;
      -- Null: it has none, or nobody has looked.
      ALTER TABLE exceptions ADD COLUMN key TEXT;
      CREATE INDEX exceptions_key ON exceptions (lane, key) WHERE key IS NOT NULL AND redriven = 0;

      -- The private cursor of a key that was not free when the lane came by: its events from first up to the lane's next
      -- wait. blocked: one of its events has to be tried again first.
      CREATE TABLE holds (
        lane INTEGER NOT NULL,
        key TEXT NOT NULL,
        first INTEGER NOT NULL,
        blocked INTEGER NOT NULL,
        PRIMARY KEY (lane, key)
      ) WITHOUT ROWID;
      CREATE INDEX holds_open ON holds (lane, key, first) WHERE blocked = 0;

      -- What a seek dropped of the events that were held: those of a key from first to last.
      CREATE TABLE skipped_holds (
        topic TEXT NOT NULL,
        key TEXT NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        PRIMARY KEY (topic, key, first)
      ) WITHOUT ROWID;
      -- Format batch. Names the events that went, or go, in one request; null: each goes by itself, or nobody has decided.
      ALTER TABLE leases ADD COLUMN batch INTEGER;
      ALTER TABLE exceptions ADD COLUMN batch INTEGER;
      CREATE INDEX exceptions_batch ON exceptions (batch) WHERE batch IS NOT NULL;

      -- Handshake, the receiver's consent to what is sent to it: pending, given; null: not asked for.
      ALTER TABLE subscription ADD COLUMN consent TEXT;
      -- Names the asking: of one url, and unguessable.
      ALTER TABLE subscription ADD COLUMN consent_token TEXT;
      -- Pending: when it is asked again, and why it has not consented.
      ALTER TABLE subscription ADD COLUMN consent_due INTEGER;
      ALTER TABLE subscription ADD COLUMN consent_delay INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE subscription ADD COLUMN consent_reason TEXT;
      -- Requests a minute; null: as many as are configured.
      ALTER TABLE subscription ADD COLUMN granted_rate INTEGER;
      -- Where the hub was reached when it asked: scheme and host.
      ALTER TABLE subscription ADD COLUMN hub TEXT;
      -- Rate and back-pressure.
      -- The next free rate slot, and those beyond it that are given already.
      ALTER TABLE subscription ADD COLUMN rate_cursor INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE subscription ADD COLUMN rate_booked TEXT NOT NULL DEFAULT '[]';
      -- Deliveries that may be out, and since when they are fewer than maxInFlight; null: they are not.
      ALTER TABLE subscription ADD COLUMN concurrency REAL;
      ALTER TABLE subscription ADD COLUMN slowed_since INTEGER;
      ALTER TABLE subscription ADD COLUMN halved_at INTEGER NOT NULL DEFAULT 0;
      -- Nothing starts before.
      ALTER TABLE subscription ADD COLUMN retry_after INTEGER;
      -- The claim gave it rate slots.
      ALTER TABLE leases ADD COLUMN paced INTEGER NOT NULL DEFAULT 0;
    `,
  },
  {
    name: 'ack ids',
    sql: `
      -- Since when its deliveries are held by their ack ids, until due; null: whoever claimed it settles.
      ALTER TABLE leases ADD COLUMN held_since INTEGER;
      -- Under which it was held last, while it may still be acknowledged though that time is over.
      ALTER TABLE exceptions ADD COLUMN token TEXT;
    `,
  },
  {
    name: 'how long leases are held',
    sql: `
      -- How long its deliveries were to be held when due was set; null where nobody holds them by ack ids.
      ALTER TABLE leases ADD COLUMN held_for INTEGER;
      UPDATE leases SET held_for = max(0, due - held_since) WHERE held_since IS NOT NULL;
    `,
  },
  {
    name: 'the first of each key',
    sql: `
      -- 1: another of its key, which came before it, has to be tried again first. Where a whole topic is in order all have the key ''.
      ALTER TABLE exceptions ADD COLUMN behind INTEGER NOT NULL DEFAULT 0;
      UPDATE exceptions SET key = ''
        WHERE key IS NULL AND redriven = 0 AND (SELECT ordering FROM subscription) = 'topic';
      UPDATE exceptions SET behind = 1
        WHERE redriven = 0 AND EXISTS (SELECT 1 FROM exceptions AS earlier
          WHERE earlier.lane = exceptions.lane AND earlier.key = exceptions.key AND earlier.redriven = 0
            AND earlier.sequence < exceptions.sequence);
      DROP INDEX exceptions_due;
      CREATE INDEX exceptions_due ON exceptions (behind, due) WHERE lease IS NULL;
    `,
  },
  {
    name: 'what is due of each lane',
    sql: `
      CREATE INDEX exceptions_lane_due ON exceptions (lane, behind, due) WHERE lease IS NULL;
    `,
  },
  {
    name: 'the tokens of all attempts',
    sql: `
      -- Those under which it was held, in one text and the latest last: whoever had it under one of them may still say that it is done.
      ALTER TABLE exceptions RENAME COLUMN token TO tokens;
    `,
  },
  {
    name: 'what may be under way',
    sql: `
      -- JSON: what was taken out of it while it was claimed, [sequence, key, attempt] each; null: nothing. It is in no counter any more.
      ALTER TABLE leases ADD COLUMN strays TEXT;
    `,
  },
  {
    name: 'attempts in columns',
    sql: `
      -- body is JSON of columns, each an array, or one value for all; 'sequence' is always an array. It was an array of objects.
      UPDATE attempts SET body = (SELECT json_object(
        'sequence', json_group_array(value -> 'sequence'),
        'attempt', json_group_array(value -> 'attempt'),
        'at', json_group_array(value -> 'at'),
        'status', json_group_array(value -> 'status'),
        'outcome', json_group_array(value -> 'outcome'),
        'latencyMs', json_group_array(value -> 'latencyMs'),
        'response', json_group_array(value -> 'response'),
        'error', json_group_array(value -> 'error'),
        'request', json_group_array(json(coalesce(value -> 'request', '{}')))
      ) FROM json_each(body));
    `,
  },
];
