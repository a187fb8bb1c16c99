-- What a key may publish: so many events in each span (milliseconds). Null: as many as it likes.
ALTER TABLE keys ADD COLUMN quota_count INTEGER;
ALTER TABLE keys ADD COLUMN quota_span_ms INTEGER;
