/** Pages of other origins (Fetch standard, CORS protocol): none unless CORS_ORIGINS names theirs, and never with cookies. */

/** Answers' headers that a page may read beside the usual ones. */
const EXPOSED = 'etag, idempotent-replayed, retry-after, www-authenticate, x-request-id';
const METHODS = 'GET, HEAD, POST, PUT, DELETE';
/** How long a browser goes by the answer to a preflight. Chromium's longest. */
const MAX_AGE_SECONDS = 7_200;

/** The answer to a preflight of an origin that may call the hub; null for any other request. */
export function preflight(request: Request, corsOrigins: string): Response | null {
  const { headers, method } = request;
  if (method !== 'OPTIONS' || !headers.has('access-control-request-method')) return null;
  if (allowedOrigin(request, corsOrigins) === null) return null;
  const response = new Response(null, {
    status: 204,
    headers: { 'access-control-allow-methods': METHODS, 'access-control-max-age': String(MAX_AGE_SECONDS) },
  });
  // Any header: which one a request may have is its route's to say.
  const asked = headers.get('access-control-request-headers');
  if (asked !== null) response.headers.set('access-control-allow-headers', asked);
  return response;
}

/** Lets the page that asked read the answer, if it may. */
export function shareWithOrigin(response: Response, request: Request, corsOrigins: string): void {
  if (corsOrigins === '') return;
  response.headers.append('vary', 'origin');
  const origin = allowedOrigin(request, corsOrigins);
  if (origin === null) return;
  response.headers.set('access-control-allow-origin', origin);
  response.headers.set('access-control-expose-headers', EXPOSED);
}

/** What goes into `access-control-allow-origin`; null: nothing. */
function allowedOrigin({ headers }: Request, corsOrigins: string): string | null {
  const origin = headers.get('origin');
  if (origin === null || corsOrigins === '') return null;
  const allowed = corsOrigins.split(',').map((one) => one.trim());
  if (allowed.includes('*')) return '*';
  return allowed.includes(origin) ? origin : null;
}
