-- Counts the makings and deletions of a topic of this name: a write that arrives late never undoes a newer one.
ALTER TABLE topics ADD COLUMN incarnation INTEGER NOT NULL DEFAULT 0;
