-- Which secret of HUB_SECRET (by its id) seals a subscription's webhook secret and signed a key, so that it can be seen when
-- nothing depends on an old one any more. Null: written before this was noted.
ALTER TABLE subscriptions ADD COLUMN sealed_under TEXT;
CREATE INDEX subscriptions_sealed ON subscriptions (sealed_under, name) WHERE deleted = 0;
ALTER TABLE keys ADD COLUMN signed_under TEXT;
