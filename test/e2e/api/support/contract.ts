import { z } from 'zod';

/**
 * The OpenAPI document of the running hub, as a program that trusts it would use it: each answer of a described path must
 * have a status, a media type and a body that the document announces.
 */

interface MediaType {
  schema?: object;
}

export interface Operation {
  operationId?: string;
  parameters?: { name: string; in: string; required?: boolean }[];
  responses: Record<string, { description: string; content?: Record<string, MediaType> }>;
}

export interface OpenApi {
  openapi: string;
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object>; securitySchemes: Record<string, { type: string; scheme?: string }> };
}

export interface Answered {
  method: string;
  path: string;
  status: number;
  contentType: string | null;
  text: string;
}

export class Contract {
  readonly document: OpenApi;
  readonly #schemas = new Map<object, z.ZodType>();

  private constructor(document: OpenApi) {
    this.document = document;
  }

  static async of(url: string): Promise<Contract> {
    return new Contract(JSON.parse(await (await fetch(`${url}/openapi.json`)).text()));
  }

  /** @throws where the answer is not one the document announces. A path it doesn't describe is not judged. */
  check(answered: Answered): void {
    const { method, path, status, contentType, text } = answered;
    const operation = this.operationAt(method, path);
    if (operation === null) return;
    const what = `${method} ${path} answered ${status}`;
    const response = operation.responses[status];
    if (response === undefined) throw new Error(`${what}, which the OpenAPI document does not announce: ${text}`);
    const { content = {} } = response;
    if (text === '' && !isLines(contentType)) {
      if (Object.keys(content).length > 0) throw new Error(`${what} without the body that is announced.`);
      return;
    }
    const media = Object.entries(content).find(([type]) => bare(type) === bare(contentType ?? ''))?.[1];
    if (media === undefined) throw new Error(`${what} as ${contentType}; announced are ${Object.keys(content)}.`);
    if (media.schema === undefined || !bare(contentType ?? '').endsWith('json') || isLines(contentType)) return;
    const result = this.#schema(media.schema).safeParse(JSON.parse(text));
    if (!result.success) throw new Error(`${what} not as its schema says: ${result.error.message}\n${text}`);
  }

  operationAt(method: string, path: string): Operation | null {
    const [pathname = ''] = path.split('?');
    const literal = this.document.paths[pathname];
    const item =
      literal ?? Object.entries(this.document.paths).find(([template]) => expression(template).test(pathname))?.[1];
    return item?.[method.toLowerCase()] ?? null;
  }

  #schema(schema: object): z.ZodType {
    const known = this.#schemas.get(schema);
    if (known !== undefined) return known;
    const whole = { ...schema, $defs: this.document.components.schemas };
    const made = z.fromJSONSchema(JSON.parse(JSON.stringify(whole).replaceAll('#/components/schemas/', '#/$defs/')));
    this.#schemas.set(schema, made);
    return made;
  }
}

function bare(type: string): string {
  return (type.split(';')[0] ?? '').trim().toLowerCase();
}

function isLines(type: string | null): boolean {
  return bare(type ?? '') === 'application/x-ndjson';
}

function expression(template: string): RegExp {
  return new RegExp(`^${template.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`);
}
