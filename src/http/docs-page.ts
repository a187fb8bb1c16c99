import {
  DATA_DEPTH_MAX,
  EVENT_BYTES_MAX,
  EXTENSIONS_MAX,
  REQUEST_BYTES_MAX,
  REQUEST_EVENTS_MAX,
} from '../events/limits.ts';
import { DOCUMENT_MAX_BYTES } from './body.ts';
import { LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX } from './fields.ts';
import { LATER_PATHS } from './later.ts';
import type { OpenApiDocument, Operation } from './openapi.ts';
import { PROBLEMS } from './problem.ts';

/** The readable reference: one page without anything from elsewhere, made from the OpenAPI document. */

const MIB = 1024 * 1024;

const LIMITS: readonly (readonly [what: string, limit: string])[] = [
  ['One event', `${EVENT_BYTES_MAX / MIB} MiB`],
  ['One publishing request', `${REQUEST_BYTES_MAX / MIB} MiB and ${REQUEST_EVENTS_MAX} events`],
  ['Depth of data', `${DATA_DEPTH_MAX} levels`],
  ['Extension attributes of one event', String(EXTENSIONS_MAX)],
  ['One configuration document', `${DOCUMENT_MAX_BYTES / MIB} MiB`],
  ['One page of a list', `${LIST_LIMIT_MAX} items; ${LIST_LIMIT_DEFAULT} by default`],
  ['One page of events', `${LIST_LIMIT_MAX} events or 4 MiB`],
  ['A long poll', '60s'],
  ['An Idempotency-Key', '255 visible characters; its answer is kept for 24h'],
];

const CONVENTIONS: readonly string[] = [
  'Send a key with every request: <code>Authorization: Bearer &lt;key&gt;</code>. The first one is the secret <code>ADMIN_KEY</code>.',
  'Bodies are JSON unless said. Times are RFC 3339 in UTC; durations are strings: <code>500ms</code>, <code>15s</code>, <code>5m</code>, <code>24h</code>, <code>7d</code>.',
  'A position in a topic is <code>earliest</code>, <code>latest</code>, a sequence, or a time. Ends are inclusive.',
  'Names are 1 to 200 of <code>a-z 0-9 . _ -</code>, beginning and ending with a letter or digit. In patterns <code>*</code> is one token and a final <code>&gt;</code> one or more.',
  'Lists take <code>limit</code> and <code>cursor</code> and answer <code>{ "items": […], "next": "…" | null }</code>.',
  '<code>PUT</code> makes (201) or replaces the whole document (200). <code>If-Match</code> with the <code>etag</code> of a <code>GET</code> guards it.',
  'Every response carries <code>x-request-id</code>. Errors are <code>application/problem+json</code> with one of the codes below.',
];

const STYLE = `
:root{color-scheme:light dark;--line:#8884;--soft:#8882;--accent:#0a6cce}
@media (prefers-color-scheme:dark){:root{--accent:#6cb6ff}}
*{box-sizing:border-box}body{margin:0;font:16px/1.55 system-ui,sans-serif;display:flex;flex-wrap:wrap}
nav{flex:0 0 17rem;padding:1.5rem;border-right:1px solid var(--line);font-size:.9rem}
@media (min-width:60rem){nav{position:sticky;top:0;height:100vh;overflow:auto}}
main{flex:1 1 30rem;min-width:0;max-width:62rem;padding:1.5rem 2.5rem 6rem}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
nav ul{list-style:none;padding:0;margin:0 0 1rem}nav li{padding:.1rem 0}
code,pre{font:.875em/1.5 ui-monospace,monospace}code{background:var(--soft);padding:.1em .3em;border-radius:.25em}
pre{background:var(--soft);padding:1rem;overflow:auto;border-radius:.4rem}pre code{background:none;padding:0}
h1{font-size:1.9rem}h2{margin-top:3rem;border-bottom:1px solid var(--line)}h3{margin-top:2.2rem;font-size:1.05rem}
table{border-collapse:collapse;width:100%;font-size:.92rem}td,th{text-align:left;vertical-align:top;padding:.35rem .8rem .35rem 0;border-bottom:1px solid var(--line)}
.method{font-weight:700;color:var(--accent)}details{margin:.5rem 0}summary{cursor:pointer}tr:target{background:var(--soft)}`;

export function docsPage(document: OpenApiDocument): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
  const tags = document.tags.map(({ name }) => ({
    name,
    operations: operations.filter(({ operation }) => operation.tags.includes(name)),
  }));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${html(document.info.title)} ${html(document.info.version)}: the HTTP interface</title><style>${STYLE}</style></head><body>
<nav><strong>${html(document.info.title)} ${html(document.info.version)}</strong>
<ul><li><a href="#conventions">Conventions</a></li><li><a href="#limits">Limits</a></li><li><a href="#problems">Problems</a></li><li><a href="#later">Not yet</a></li><li><a href="/openapi.json">OpenAPI</a></li></ul>
${tags.map((tag) => `<div>${html(tag.name)}</div><ul>${tag.operations.map(({ operation }) => `<li><a href="#${operation.operationId}">${html(operation.summary)}</a></li>`).join('')}</ul>`).join('\n')}
</nav><main><h1>${html(document.info.title)}: the HTTP interface</h1><p>${html(document.info.description)}</p>
<h2 id="conventions">Conventions</h2><ul>${CONVENTIONS.map((line) => `<li>${line}</li>`).join('')}</ul>
${tags.map((tag) => `<h2>${html(tag.name)}</h2>${tag.operations.map(({ method, path, operation }) => section(method, path, operation)).join('\n')}`).join('\n')}
<h2>Shapes</h2>${Object.entries(document.components.schemas)
    .map(([name, schema]) => shape(name, schema))
    .join('\n')}
<h2 id="limits">Limits</h2>${table(
    ['what', 'limit'],
    LIMITS.map(([what, limit]) => [html(what), html(limit)]),
  )}
<h2 id="problems">Problems</h2><p>A problem’s <code>type</code> points here.</p>
<table><tr><th>code</th><th>status</th><th>title</th></tr>${Object.entries(PROBLEMS)
    .map(
      ([code, { status, title }]) =>
        `<tr id="${code}"><td><code>${code}</code></td><td>${status}</td><td>${html(title)}</td></tr>`,
    )
    .join('')}</table>
<h2 id="later">Not yet</h2><p>Promised, and refused with <code>not-supported-yet</code> by this version: ${LATER_PATHS.map(({ path }) => `<code>${html(path)}</code>`).join(', ')}.</p>
</main></body></html>
`;
}

function section(method: string, path: string, operation: Operation): string {
  const { operationId, summary, description, parameters, requestBody, responses } = operation;
  const rows = parameters.map((parameter) => [
    `<code>${html(parameter.name)}</code>`,
    parameter.in + (parameter.required ? ', required' : ''),
    prose(parameter.description ?? ''),
    json(parameter.schema),
  ]);
  return `<h3 id="${operationId}"><span class="method">${method}</span> <code>${html(path)}</code></h3>
<p>${html(summary)}.${description === undefined ? '' : ` ${prose(description)}`} Scope: <code>${html(operation['x-scopes'])}</code>.</p>
${rows.length === 0 ? '' : table(['parameter', 'in', '', 'schema'], rows)}
${requestBody === undefined ? '' : body('Body', requestBody)}
${Object.entries(responses)
  .filter(([status]) => status < '400')
  .map(([status, response]) => body(status, response))
  .join('')}
<p>Refusals: ${Object.entries(responses)
    .filter(([status]) => status >= '400')
    .flatMap(([status, response]) =>
      response.description.split(', ').map((code) => `<a href="#${code}">${status} ${code}</a>`),
    )
    .join(', ')}</p>`;
}

function body(
  name: string,
  { description, content = {} }: { description?: string; content?: Operation['responses'][string]['content'] },
): string {
  const schemas = Object.entries(content).map(
    ([type, { schema }]) =>
      `<p><code>${html(type)}</code></p><pre><code>${html(JSON.stringify(schema, null, 2))}</code></pre>`,
  );
  const text = description === undefined || description === 'Done.' ? '' : ` ${prose(description)}`;
  return `<details><summary>${html(name)}${schemas.length === 0 ? ', empty' : ''}${text}</summary>${schemas.join('')}</details>`;
}

function shape(name: string, schema: unknown): string {
  return `<details id="shape-${html(name)}"><summary>${html(name)}</summary><pre><code>${html(JSON.stringify(schema, null, 2))}</code></pre></details>`;
}

function table(heads: string[], rows: string[][]): string {
  return `<table><tr>${heads.map((head) => `<th>${head}</th>`).join('')}</tr>${rows
    .map((cells) => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`)
    .join('')}</table>`;
}

function json(value: unknown): string {
  return `<code>${html(JSON.stringify(value))}</code>`;
}

/** Text in which \`code\` is marked. */
function prose(text: string): string {
  return html(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');
}

function html(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
