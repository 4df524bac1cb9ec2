import { z } from 'zod'

// OpenAPI 3.0.3 as far as a document without callbacks, links, servers and references goes (spec.openapis.org/oas/v3.0.3): unknown keys are
// refused, as are those of JSON Schema that this version has not (`const`, lists of types, `examples`).

const text = z.string().min(1)
const free = z.unknown()

type Schema = z.infer<typeof shared> & Record<string, unknown>
const shared = z.strictObject({
  title: text.optional(),
  description: text.optional(),
  type: z.enum(['array', 'boolean', 'integer', 'number', 'object', 'string']).optional(),
  format: text.optional(),
  nullable: z.boolean().optional(),
  enum: z.array(free).min(1).optional(),
  default: free.optional(),
  example: free.optional(),
  deprecated: z.boolean().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  minLength: z.int().min(0).optional(),
  maxLength: z.int().min(0).optional(),
  pattern: text.optional(),
  minItems: z.int().min(0).optional(),
  maxItems: z.int().min(0).optional(),
  uniqueItems: z.boolean().optional(),
  required: z.array(text).min(1).optional(),
})
const schema: z.ZodType<Schema> = z.lazy(() =>
  shared
    .extend({
      items: schema.optional(),
      properties: z.record(text, schema).optional(),
      additionalProperties: z.union([z.boolean(), schema]).optional(),
      oneOf: z.array(schema).min(1).optional(),
      anyOf: z.array(schema).min(1).optional(),
      allOf: z.array(schema).min(1).optional(),
      not: schema.optional(),
    })
    .superRefine(({ type, items, required, properties }, context) => {
      if (type === 'array' && !items) context.addIssue({ code: 'custom', message: 'a list says what its items are' })
      for (const name of required ?? [])
        if (properties && !Object.hasOwn(properties, name))
          context.addIssue({ code: 'custom', message: `${name} is required and no property` })
    }),
)
const content = z.record(z.string().regex(/^[\w*]+\/[\w.+*-]+$/), z.strictObject({ schema, example: free.optional() }))
const parameter = z.strictObject({
  name: text,
  in: z.enum(['query', 'header']),
  description: text.optional(),
  required: z.boolean(),
  schema,
})
const operation = z.strictObject({
  tags: z.array(text).optional(),
  summary: text,
  description: text.optional(),
  operationId: text.optional(),
  parameters: z
    .array(parameter)
    .refine((all) => new Set(all.map((one) => `${one.in} ${one.name}`)).size === all.length, 'two are the same')
    .optional(),
  requestBody: z.strictObject({ description: text.optional(), content, required: z.boolean().optional() }).optional(),
  responses: z
    .record(
      z.string().regex(/^([1-5](\d\d|XX)|default)$/),
      z.strictObject({ description: text, content: content.optional() }),
    )
    .refine((all) => Object.keys(all).length > 0, 'there is none'),
  security: z.array(z.record(text, z.array(text))),
})

export const openApi = z
  .strictObject({
    openapi: z.string().regex(/^3\.0\.\d$/),
    info: z.strictObject({ title: text, description: text.optional(), version: text }),
    paths: z.record(
      z.string().regex(/^\/[\w./-]*$/),
      z.strictObject({ get: operation.optional(), post: operation.optional() }),
    ),
    components: z.strictObject({
      schemas: z.record(text, schema).optional(),
      securitySchemes: z.record(text, z.strictObject({ type: z.literal('http'), scheme: z.literal('bearer') })),
    }),
  })
  .superRefine(({ paths, components }, context) => {
    for (const [path, { get, post }] of Object.entries(paths)) {
      if (get?.requestBody) context.addIssue({ code: 'custom', message: `GET ${path} has no body` })
      for (const name of [get, post].flatMap((one) => one?.security ?? []).flatMap((one) => Object.keys(one)))
        if (!Object.hasOwn(components.securitySchemes, name))
          context.addIssue({ code: 'custom', message: `${path}: there is no security scheme ${name}` })
    }
  })
