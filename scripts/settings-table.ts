// docs/settings.md: every setting of evt, and every variable that the five documents name, from the keys of the configuration. Each
// variable of the documents names the test that changes behaviour through it; a test that is not there is an error.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { configKeys, variableOf } from '../src/config/keys.ts'
import { configFileSchema } from '../src/config/schema.ts'
import { resolvePublish } from '../src/core/publish-options.ts'

interface Variable {
  readonly name: string
  /** Number of the document under shared/seeds that names it. */
  readonly document: number
  /** What the document sets it to. */
  readonly says: string
  readonly unit: string
  readonly test: readonly [file: string, title: string]
}

const effects = 'test/config/variables.test.ts'
const program = [
  'test/event-bus.test.ts',
  'goes on where it was after a restart, and shares the work of one name',
] as const
const settings = 'test/publish/settings.test.ts'
const sagas = [
  'test/sagas/configured.test.ts',
  'ENABLE_SAGAS keeps sagas from running and SAGA_TIMEOUT_SECONDS bounds them',
] as const
const retention = [
  'test/commands/retention.test.ts',
  'EVENT_STORE_TTL_DAYS is how long the class default is kept',
] as const
const group = [effects, 'shares its work within %s'] as const
const stored = [effects, 'carries the store to the bus with ENABLE_EVENT_STORE, under REDIS_CHANNEL_PREFIX'] as const

const variables: readonly Variable[] = [
  {
    name: 'EVENT_PROCESSING_ENABLED',
    document: 1,
    says: 'true or false',
    unit: '',
    test: [effects, 'runs no handlers with EVENT_PROCESSING_ENABLED=false, and stores on'],
  },
  {
    name: 'EVENT_RETRY_ATTEMPTS',
    document: 1,
    says: 'a number',
    unit: 'attempts in all',
    test: [effects, 'tries a failing event EVENT_RETRY_ATTEMPTS times'],
  },
  {
    name: 'EVENT_BATCH_SIZE',
    document: 1,
    says: 'a number',
    unit: 'events',
    test: [effects, 'lets a handler take EVENT_BATCH_SIZE events at once, and no more'],
  },
  {
    name: 'EVENT_TIMEOUT',
    document: 1,
    says: 'a time',
    unit: 's',
    test: [effects, 'gives an attempt EVENT_TIMEOUT seconds'],
  },
  { name: 'EVENT_LOG_LEVEL', document: 1, says: 'a level', unit: '', test: [effects, 'logs from EVENT_LOG_LEVEL on'] },
  {
    name: 'EVENT_MONITORING_INTERVAL',
    document: 1,
    says: 'a time',
    unit: 's',
    test: [effects, 'looks at traffic every EVENT_MONITORING_INTERVAL'],
  },
  { name: 'EVENT_BUS_TYPE', document: 2, says: 'redis', unit: '', test: program },
  { name: 'REDIS_EVENT_URL', document: 2, says: 'redis://redis:6379', unit: '', test: program },
  { name: 'REDIS_CHANNEL_PREFIX', document: 2, says: 'events', unit: '', test: stored },
  { name: 'KAFKA_BOOTSTRAP_SERVERS', document: 2, says: 'localhost:9092', unit: '', test: program },
  {
    name: 'KAFKA_TOPIC_PREFIX',
    document: 2,
    says: 'events',
    unit: '',
    test: [effects, 'has its topic under KAFKA_TOPIC_PREFIX'],
  },
  { name: 'KAFKA_CONSUMER_GROUP', document: 2, says: 'event-handlers', unit: '', test: group },
  { name: 'ENABLE_EVENT_STORE', document: 2, says: 'true', unit: '', test: stored },
  { name: 'EVENT_STORE_TTL_DAYS', document: 2, says: '90', unit: 'days', test: retention },
  { name: 'ENABLE_SAGAS', document: 2, says: 'true', unit: '', test: sagas },
  { name: 'SAGA_TIMEOUT_SECONDS', document: 2, says: '3600', unit: 's', test: sagas },
  {
    name: 'EVENT_PUBLISHER_REDIS_URL',
    document: 3,
    says: 'redis://localhost:6379/0',
    unit: '',
    test: [effects, 'goes to EVENT_PUBLISHER_REDIS_URL'],
  },
  {
    name: 'EVENT_PUBLISHER_MAX_BATCH_SIZE',
    document: 3,
    says: '100',
    unit: 'events',
    test: [settings, 'EVENT_PUBLISHER_MAX_BATCH_SIZE is the size of a batch'],
  },
  {
    name: 'EVENT_PUBLISHER_PUBLISH_TIMEOUT',
    document: 3,
    says: '5000',
    unit: 'ms',
    test: [effects, 'gives up after EVENT_PUBLISHER_PUBLISH_TIMEOUT milliseconds'],
  },
  { name: 'EVENT_SUBSCRIBER_CONSUMER_GROUP', document: 3, says: 'my-service', unit: '', test: group },
  {
    name: 'EVENT_SUBSCRIBER_BATCH_SIZE',
    document: 3,
    says: '10',
    unit: 'events',
    test: [effects, 'takes EVENT_SUBSCRIBER_BATCH_SIZE events at once, and no more'],
  },
  {
    name: 'EVENT_SUBSCRIBER_BLOCK_TIME',
    document: 3,
    says: '1000',
    unit: 'ms',
    test: [effects, 'looks by itself every EVENT_SUBSCRIBER_BLOCK_TIME milliseconds on Redis'],
  },
  {
    name: 'EVENT_SUBSCRIBER_MAX_RETRIES',
    document: 3,
    says: '3',
    unit: 'attempts in all',
    test: [settings, 'EVENT_SUBSCRIBER_MAX_RETRIES is the number of attempts'],
  },
]

/** What each setting of `publish` is for, by its path. */
const publishSays: Readonly<Record<string, readonly [fallback: string, says: string]>> = {
  'batch.size': ['500', 'a batch leaves when it is full'],
  'batch.wait': ['0', '… or when its first event has waited so long'],
  rate: ['none', 'events a second that leave, `1000/s`; critical ones may pass'],
  burst: ['one second’s', 'events that may leave at once'],
  bypass: ['a tenth of the rate', 'critical events a second that may leave beyond the rate'],
  duplicates: ['on', '`false`: nothing is remembered'],
  'duplicates.by': ['id', '`id`: ids that events bring along; `content`: type, subject and data'],
  'duplicates.window': ['1h', 'how long they are remembered'],
  'duplicates.count': ['10000', 'how many are remembered'],
  sequence: ['off', 'whether the numbers of subjects are looked at'],
  'sequence.gaps': ['–', '`skip`, `wait` or `dead-letter`'],
  'sequence.wait': ['1s', 'how long `wait` waits'],
  'most.events': ['100000', 'events that may wait in memory'],
  'most.bytes': ['64MiB', 'their bytes'],
  timeout: ['30s', 'how long an event without an answer is tried'],
  'retry.initial': ['50ms', 'bound of the first wait between tries'],
  'retry.max': ['1s', 'bound of all waits'],
  compress: ['never', 'data above this size travels as gzip'],
  deadLetters: ['true', 'whether what is refused becomes a dead letter'],
}

interface Node {
  readonly properties?: Readonly<Record<string, Node>>
  readonly anyOf?: readonly Node[]
}

function pathsOf(node: Node, path = ''): readonly string[] {
  const inner = node.properties ?? node.anyOf?.find(({ properties }) => properties)?.properties
  if (!inner) return [path]
  const own = path === '' || path === 'batch' || path === 'most' || path === 'retry' ? [] : [path]
  return [...own, ...Object.entries(inner).flatMap(([name, child]) => pathsOf(child, path ? `${path}.${name}` : name))]
}

function publishTable(): string {
  const schema = z.toJSONSchema(configFileSchema.shape.publish, { unrepresentable: 'any', io: 'input' }) as Node
  const [paths, said] = [pathsOf(schema), Object.keys(publishSays)]
  const odd = [...paths.filter((path) => !said.includes(path)), ...said.filter((path) => !paths.includes(path))]
  if (odd.length > 0)
    throw new Error(`scripts/settings-table.ts: publish.${odd.join(', publish.')}: not in both schema and table`)
  const { batch, most } = resolvePublish()
  if (batch.size !== 500 || most.events !== 100_000) throw new Error('scripts/settings-table.ts: defaults have changed')
  const rows = paths.map((path) => `| \`publish.${path}\` | ${publishSays[path]?.[0]} | ${publishSays[path]?.[1]} |`)
  return ['| setting | default | |', '| --- | --- | --- |', ...rows].join('\n')
}

const aliasesOf = (alias: string | readonly string[] | undefined) => (alias === undefined ? [] : [alias].flat())

function keyTable(): string {
  const rows = Object.values(configKeys).map((rule) => {
    const show = rule.show as ((value: unknown) => string) | undefined
    const fallback = rule.default === undefined ? '' : show ? show(rule.default) : String(rule.default)
    const variables = [variableOf(rule.name), ...aliasesOf(rule.alias)].map((name) => `\`${name}\``)
    return `| \`${rule.name}\` | ${fallback === '' ? '–' : `\`${fallback}\``} | ${rule.says} | ${variables.join(', ')} |`
  })
  return ['| key | default | | variables |', '| --- | --- | --- | --- |', ...rows].join('\n')
}

function variableTable(root: string): string {
  const rows = variables.map(({ name, document, says, unit, test: [file, title] }) => {
    if (!readFileSync(join(root, file), 'utf8').includes(title))
      throw new Error(`scripts/settings-table.ts: ${name}: ${file} has no test '${title}'`)
    const key = Object.values(configKeys).find(({ alias }) => aliasesOf(alias).includes(name))
    if (!key) throw new Error(`scripts/settings-table.ts: ${name} is read by no key`)
    const tested = `[${title.replace('%s', name)}](../${file})`
    return `| \`${name}\` | ${document} | ${says} | ${unit || '–'} | \`${key.name}\` | ${tested} |`
  })
  return [
    '| variable | document | set to | unit | key of evt | test |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n')
}

/** Throws when a variable is read by nobody, and when a test that is named is not there. */
export const settingsTables = (root: string): Readonly<Record<string, string>> => ({
  keys: keyTable(),
  variables: variableTable(root),
  publish: publishTable(),
})
