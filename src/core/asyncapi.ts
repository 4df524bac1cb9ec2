import { type JsonSchema, schemaOf, versionsOf } from './contract-schemas.ts'
import { compilePatterns } from './pattern.ts'
import type { Registry } from './registry.ts'

/** A service as far as the document says who sends and who receives. */
export interface DocumentedService {
  readonly name: string
  readonly contracts: readonly { readonly type: string }[]
  readonly handlers: readonly { readonly name: string; readonly on: readonly (string | { readonly type: string })[] }[]
  readonly publishes?: readonly string[] | undefined
}

export interface AsyncApiOptions {
  readonly title: string
  readonly version: string
  readonly services: readonly DocumentedService[]
}

/**
 * AsyncAPI 3.0: a channel for each type, a message for each of its versions, and who sends and receives it. Payloads are the data alone;
 * the envelope is CloudEvents 1.0.
 */
export function asyncApi(registry: Pick<Registry, 'types' | 'get'>, options: AsyncApiOptions): object {
  const contracts = registry.types().flatMap((type) => versionsOf(registry, type))
  const schemas = Object.assign({}, ...contracts.map((one) => componentsOf(nameOf(one), schemaOf(one, 'draft-7'))))
  const messages = Object.fromEntries(
    contracts.map((one) => [
      nameOf(one),
      {
        name: one.type,
        title: `${one.type} v${one.version}${one.draft ? ' (draft)' : ''}`,
        contentType: 'application/json',
        payload: { $ref: `#/components/schemas/${nameOf(one)}` },
      },
    ]),
  )
  const channels = Object.fromEntries(
    registry.types().map((type) => {
      const refs = versionsOf(registry, type).map((one) => [
        nameOf(one),
        { $ref: `#/components/messages/${nameOf(one)}` },
      ])
      return [channelOf(type), { address: type, messages: Object.fromEntries(refs) }]
    }),
  )
  return {
    asyncapi: '3.0.0',
    info: {
      title: options.title,
      version: options.version,
      description:
        'Events of these services. The envelope of each is CloudEvents 1.0; what is described here is its data.',
    },
    defaultContentType: 'application/json',
    channels,
    operations: operationsOf(registry, options.services),
    components: { messages, schemas },
  }
}

const nameOf = ({ type, version }: { readonly type: string; readonly version: number }) => `${safe(type)}.v${version}`
const safe = (text: string) => text.replace(/[^\w.-]/g, '_')
/** Dots would be read as a path by some tools. */
const channelOf = (type: string) => safe(type).replaceAll('.', '_')

function operationsOf(registry: Pick<Registry, 'types'>, services: readonly DocumentedService[]): object {
  const operation = (action: 'send' | 'receive', who: string, type: string) => [
    `${action}_${safe(who).replaceAll('.', '_')}_${channelOf(type)}`,
    { action, channel: { $ref: `#/channels/${channelOf(type)}` }, summary: `${who} ${action}s ${type}` },
  ]
  const sent = services.flatMap(({ name, contracts, publishes }) => {
    const may = publishes && compilePatterns(publishes)
    const types = may ? registry.types().filter((type) => may.matches(type)) : contracts.map(({ type }) => type)
    return types.map((type) => operation('send', name, type))
  })
  const received = services.flatMap(({ handlers }) =>
    handlers.flatMap(({ name, on }) => {
      const wanted = compilePatterns(on.map((one) => (typeof one === 'string' ? one : one.type)))
      return registry.types().flatMap((type) => (wanted.matches(type) ? [operation('receive', name, type)] : []))
    }),
  )
  return Object.fromEntries([...sent, ...received])
}

type Draft7 = JsonSchema & { readonly definitions?: Readonly<Record<string, JsonSchema>> }

/** A schema, and what it refers to, as components: within a document `#` is the document. */
function componentsOf(name: string, schema: Draft7): Record<string, unknown> {
  const { definitions = {}, $defs = {}, ...root } = schema
  const inner = { ...definitions, ...$defs }
  const named = (part: string) => `${name}.${safe(part)}`
  const rewritten = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(rewritten)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => {
        if (key !== '$ref' || typeof one !== 'string') return [marks[key] ?? key, rewritten(one)]
        const part = one.split('/').at(-1) as string
        return [key, `#/components/schemas/${one === '#' ? name : named(part)}`]
      }),
    )
  }
  return {
    [name]: rewritten(root),
    ...Object.fromEntries(Object.entries(inner).map(([part, one]) => [named(part), rewritten(one)])),
  }
}

/** Words of evt's own, spelled as extensions. */
const marks: Readonly<Record<string, string>> = {
  sensitive: 'x-sensitive',
  encrypted: 'x-encrypted',
  pseudonym: 'x-pseudonym',
  erasable: 'x-erasable',
}
