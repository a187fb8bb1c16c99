/** npm run openapi: writes schemas/api/openapi.json from the zod schemas. A test says when it has to be run again. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openApiDocument } from '../src/http/openapi.ts';
import { ROUTES } from '../src/http/resources.ts';
import { ROOT } from './hub/wrangler.ts';

const FOLDER = join(ROOT, 'schemas', 'api');

mkdirSync(FOLDER, { recursive: true });
writeFileSync(join(FOLDER, 'openapi.json'), `${JSON.stringify(openApiDocument(ROUTES), null, 2)}\n`);
console.log('schemas/api/openapi.json is fresh.');
