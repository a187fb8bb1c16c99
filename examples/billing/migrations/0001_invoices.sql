-- The invoice's number is the row's; what must not happen twice is kept from it by millrace_once, not by a key here.
CREATE TABLE invoices (
  id INTEGER PRIMARY KEY,
  order_id TEXT NOT NULL,
  customer TEXT NOT NULL,
  amount INTEGER NOT NULL,
  sequence INTEGER NOT NULL
);
