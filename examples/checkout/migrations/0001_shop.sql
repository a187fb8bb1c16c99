-- What concerns customers stays here; the hub is told that an order was placed, and no more.
CREATE TABLE orders (
  id TEXT PRIMARY KEY, -- made by the page
  email TEXT NOT NULL,
  card TEXT NOT NULL,
  amount INTEGER NOT NULL, -- cents
  sequence INTEGER -- of its event `order.placed`; null until that is published
) WITHOUT ROWID;

-- What must not happen twice is kept from it by millrace_once, not by a key here.
CREATE TABLE payments (
  id INTEGER PRIMARY KEY,
  order_id TEXT NOT NULL,
  amount INTEGER NOT NULL
);
