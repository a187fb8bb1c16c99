-- The table of once(), as the client library has it.
CREATE TABLE IF NOT EXISTS millrace_once (
  scope TEXT NOT NULL,
  topic TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  replay TEXT NOT NULL,
  applied_at INTEGER NOT NULL,
  PRIMARY KEY (scope, topic, sequence, replay)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS millrace_once_by_age ON millrace_once (applied_at);
