/** npm run openapi: writes what is generated into schemas/ from the zod schemas. Tests say when it has to be run again. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openApiDocument } from '../src/http/openapi.ts';
import { ROUTES } from '../src/http/resources.ts';
import { systemEventSchemas } from '../src/system/shapes.ts';
import { ROOT } from './hub/wrangler.ts';

function write(path: string, document: unknown): void {
  const file = join(ROOT, 'schemas', path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(document, null, 2)}\n`);
  console.log(`schemas/${path} is fresh.`);
}

write('api/openapi.json', openApiDocument(ROUTES));
write('events/millrace.system.json', systemEventSchemas());
