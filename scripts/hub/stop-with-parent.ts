/**
 * Loaded into wrangler before anything else: when the process that started it is gone without having stopped it (a kill -9),
 * it ends as if it had been asked to, and its workerd with it.
 */
const CHECK_EVERY_MS = 500;
const parent = process.ppid;

setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, 'SIGTERM');
}, CHECK_EVERY_MS).unref();
