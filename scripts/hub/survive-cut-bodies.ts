/**
 * Loaded into `wrangler dev` before it starts. Its proxy takes a request whose body is cut off by the sender for a failure
 * of its own and ends the whole process: https://github.com/cloudflare/workers-sdk/issues/15203. With this it answers as
 * the hub does where no proxy is in front, and goes on. And of a body sent in chunks it passes a part on as if that were
 * all; with this it reads the whole before it passes anything on. So it knows, too, when it was its own connection to the
 * hub that broke, as after a request that kept the hub busy for more than five seconds, and not the sender's: that is a
 * 503. Where wrangler's proxy is another than the one known here, it stays as it is.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const PROXY = /wrangler-dist[\\/]ProxyWorker\.js$/;
const GIVES_UP =
  /void sendMessageToProxyController\(this\.env, \{\s*type: "error",[\s\S]*?deferredResponse\.reject\(error\);/;

const PASSES_ON = 'fetch(userWorkerUrl, new Request(request, { headers }))';

/** Longer ones, of a length that is announced, go on as they come. */
const WHOLE_BYTES_MAX = 1_048_576;

const CUT_OFF = {
  type: '/docs#incomplete-body',
  title: 'The body was cut off',
  status: 400,
  detail: 'The body ended before all of it had come. Send it again.',
  code: 'incomplete-body',
};
const GONE = {
  type: '/docs#unavailable',
  title: 'A part of the hub cannot be reached at the moment',
  status: 503,
  detail: 'The connection within wrangler dev was lost. Try again.',
  code: 'unavailable',
};

const ANSWERS = `{
  const requestId = crypto.randomUUID();
  const instance = new URL(request.url).pathname;
  const problem = { ...(request.body === null || error.afterTheWhole ? ${JSON.stringify(GONE)} : ${JSON.stringify(CUT_OFF)}), instance, requestId };
  const headers = { "content-type": "application/problem+json", "x-request-id": requestId };
  deferredResponse.resolve(new Response(JSON.stringify(problem), { status: problem.status, headers }));
}`;

const PASSES_THE_WHOLE_ON = `(async () => {
  const isRead = request.body !== null && request.method !== "GET" && request.method !== "HEAD";
  if (!isRead || Number(request.headers.get("content-length")) > ${WHOLE_BYTES_MAX}) return ${PASSES_ON};
  const body = await request.arrayBuffer();
  return fetch(userWorkerUrl, new Request(request, { headers, body })).catch((error) => {
    throw Object.assign(error, { afterTheWhole: true });
  });
})()`;

const read = fs.readFileSync;
Object.assign(fs, {
  readFileSync(...args: Parameters<typeof read>) {
    const [path, options] = args;
    if (typeof path !== 'string' || !PROXY.test(path)) return read(...args);
    const source = read(path, 'utf8')
      .replace(GIVES_UP, () => ANSWERS)
      .replace(PASSES_ON, () => PASSES_THE_WHOLE_ON);
    return options ? source : Buffer.from(source);
  },
});
syncBuiltinESMExports();
