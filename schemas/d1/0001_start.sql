-- The catalogue mirrors what Durable Objects own, so that it can be listed and looked up; dead letters, keys, idempotency
-- keys and the audit live here. Times are milliseconds since the epoch.

CREATE TABLE topics (
  name TEXT PRIMARY KEY,
  created_at INTEGER NOT NULL,
  swept_at INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX topics_swept ON topics (swept_at);

CREATE TABLE subscriptions (
  name TEXT PRIMARY KEY,
  created_at INTEGER NOT NULL,
  -- The subscription's own counter of changes: an older write never overtakes a newer one.
  version INTEGER NOT NULL,
  deleted INTEGER NOT NULL DEFAULT 0,
  -- Set by the subscription when it has lag and makes no progress.
  stalled_at INTEGER,
  swept_at INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX subscriptions_swept ON subscriptions (swept_at) WHERE deleted = 0;
CREATE INDEX subscriptions_stalled ON subscriptions (stalled_at) WHERE stalled_at IS NOT NULL;

-- The topic patterns (with a wildcard in them) of the subscriptions that have any.
CREATE TABLE patterns (
  subscription TEXT NOT NULL,
  pattern TEXT NOT NULL,
  PRIMARY KEY (subscription, pattern)
) WITHOUT ROWID;

CREATE TABLE replays (
  id TEXT PRIMARY KEY,
  subscription TEXT NOT NULL,
  topic TEXT NOT NULL,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX replays_newest ON replays (created_at DESC, id);

CREATE TABLE dead_letters (
  id TEXT PRIMARY KEY,
  subscription TEXT NOT NULL,
  topic TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  event TEXT NOT NULL,
  reason TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  last_status INTEGER,
  last_error TEXT,
  first_attempt_at INTEGER,
  died_at INTEGER NOT NULL,
  redriven_at INTEGER,
  resolved_at INTEGER,
  discarded_at INTEGER,
  -- Counts the letter's changes in its subscription: an older write never overtakes a newer one.
  version INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX dead_letters_newest ON dead_letters (died_at DESC, id);
CREATE INDEX dead_letters_of_subscription ON dead_letters (subscription, died_at DESC, id);
CREATE INDEX dead_letters_of_topic ON dead_letters (topic, died_at DESC, id);
-- What is resolved or discarded stays for the record and may become many: open letters are found without reading it.
CREATE INDEX dead_letters_unsettled ON dead_letters (died_at DESC, id)
  WHERE resolved_at IS NULL AND discarded_at IS NULL;
-- A job's way through the letters of a subscription, by id.
CREATE INDEX dead_letters_unsettled_of_subscription ON dead_letters (subscription, id)
  WHERE resolved_at IS NULL AND discarded_at IS NULL;

CREATE TABLE keys (
  name TEXT PRIMARY KEY,
  id TEXT NOT NULL,
  scopes TEXT NOT NULL,
  expires_at INTEGER,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Ids of keys deleted before they expired.
CREATE TABLE revocations (
  id TEXT PRIMARY KEY,
  revoked_at INTEGER NOT NULL,
  expires_at INTEGER
) WITHOUT ROWID;

CREATE TABLE idempotency (
  caller TEXT NOT NULL,
  path TEXT NOT NULL,
  key TEXT NOT NULL,
  body_hash TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  -- Null while the first request runs.
  status INTEGER,
  body TEXT,
  PRIMARY KEY (caller, path, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_oldest ON idempotency (started_at);

CREATE TABLE audit (
  id TEXT PRIMARY KEY, -- UUIDv7: ordered by time
  at INTEGER NOT NULL,
  key TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  request_id TEXT NOT NULL
) WITHOUT ROWID;
