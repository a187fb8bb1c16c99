/**
 * Loaded into `wrangler dev` before it starts. Its local queues tell its main process of each message over HTTP, and a
 * queue whose call fails never sends another message. Such a call fails where the main process has just closed the kept
 * connection for being idle, as it does after a pause of the machine or of the processes. With this only the other side,
 * which knows what it has closed, closes idle connections.
 */
import http from 'node:http';
import { syncBuiltinESMExports } from 'node:module';

const create = http.createServer;
Object.assign(http, {
  createServer(...args: Parameters<typeof create>) {
    const server = create(...args);
    server.keepAliveTimeout = 0;
    return server;
  },
});
syncBuiltinESMExports();
