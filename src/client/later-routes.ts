/** Routes as the interface's contract has them, until their schemas are in src/http and so in wire.ts. */
export interface LaterRoutes {
  'POST /v1/subscriptions/{name}/pull': {
    params: { name: string };
    query: object;
    body: { max?: number; wait?: string };
    answer: {
      deliveries: { ackId: string; attempt: number; event: object; replay: string | null; redriven: boolean }[];
      ackDeadline: string;
    };
  };
  'POST /v1/subscriptions/{name}/ack': Settle<{ ackIds: string[] }>;
  'POST /v1/subscriptions/{name}/nack': Settle<{ ackIds: string[]; delay?: string; reason?: string; reject?: boolean }>;
  'POST /v1/subscriptions/{name}/extend': Settle<{ ackIds: string[]; by: string }>;
  'POST /v1/tokens': {
    params: object;
    query: object;
    body: { scopes: string[]; expiresIn: string };
    answer: { token: string; expiresAt: string };
  };
}

interface Settle<Body> {
  params: { name: string };
  query: object;
  body: Body;
  answer: { results: { ackId: string; ok: boolean; code?: string }[] };
}
