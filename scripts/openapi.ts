/** npm run openapi: writes schemas/api/openapi.json from the zod schemas. A test says when it has to be run again. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { openApiDocument } from '../src/http/openapi.ts';
import { ROUTES } from '../src/http/resources.ts';

const FOLDER = new URL('../schemas/api/', import.meta.url);

mkdirSync(FOLDER, { recursive: true });
writeFileSync(new URL('openapi.json', FOLDER), `${JSON.stringify(openApiDocument(ROUTES), null, 2)}\n`);
console.log('schemas/api/openapi.json is fresh.');
