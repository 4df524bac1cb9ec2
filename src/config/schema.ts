import { z } from 'zod'
import { groupings, severities } from '../core/alerts/alert-rule.ts'
import { resolveAlerts } from '../core/alerts/resolve-alerts.ts'
import { parseDuration } from '../core/duration.ts'
import { EvtError } from '../core/errors.ts'
import { layouts } from '../core/layout.ts'
import { compilePatterns } from '../core/pattern.ts'
import { detections } from '../core/privacy-options.ts'
import { resolvePublish } from '../core/publish-options.ts'
import { parseRenames } from '../core/rename.ts'
import { resolveRetention } from '../core/retention.ts'
import { busTypes } from './bus-names.ts'
import { logLevels } from './keys.ts'
import { problemsOf } from './problems.ts'
import type { Service } from './services.ts'

/** With its hint, for `problemsOf`. */
function issueOf(error: unknown, prefix: RegExp | '' = '') {
  const { message, hint } = error as Error & { readonly hint?: string }
  return { code: 'custom' as const, message: message.replace(prefix, ''), params: { hint } }
}

const quantity = z.union([z.string(), z.number()])
/** What else it has is looked at where it is run. */
const service = z
  .custom<Service>((given) => typeof given === 'object' && given !== null, 'it is no service')
  .superRefine((given, context) => {
    const { name, handlers } = given as { readonly name?: unknown; readonly handlers?: unknown }
    const issue = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message })
    if (typeof name !== 'string') issue('name', `${name === undefined ? 'it has none' : `${String(name)} is no name`}`)
    else if (handlers !== undefined && !Array.isArray(handlers)) issue('handlers', 'it is no list')
  })

const profile = z.strictObject({
  store: z.string().optional(),
  protect: z.boolean().optional(),
  readonly: z.boolean().optional(),
})

const name = z.string().regex(/^[a-z0-9][\w.-]{0,62}$/i, 'a name is letters, digits, dots, dashes and underscores')
const url = z.string().regex(/^[a-z][a-z0-9+.-]*:\/\//i, 'it is no URL, as redis://host:6379/0')
const oneOrMore = <T extends z.ZodType>(one: T) => z.union([one.transform((given) => [given]), z.array(one)])
const patterns = oneOrMore(z.string()).superRefine((given, context) => {
  try {
    compilePatterns(given as string[])
  } catch (error) {
    context.addIssue(issueOf(error))
  }
})

const rename = z.record(z.string(), z.string()).superRefine((given, context) => {
  try {
    parseRenames(given)
  } catch (error) {
    context.addIssue(issueOf(error))
  }
})

/** What sinks and sources have in common. */
const connection = {
  name,
  url,
  patterns: patterns.optional(),
  rename: rename.optional(),
  dialect: z.string().optional(),
  start: z.enum(['earliest', 'latest']).optional(),
}
const sink = z.strictObject({
  ...connection,
  topic: z.string().min(1).optional(),
  prefix: z.string().optional(),
  layout: z.enum(layouts).optional(),
  lanes: z.int().min(1).max(256).optional(),
})
const source = z.strictObject({
  ...connection,
  topic: oneOrMore(z.string().min(1)).optional(),
  group: z.string().min(1).optional(),
})
const listed = { error: "it is no list, as [{ name: 'cache', url: 'redis://host:6379/0' }]" }
const duration = z.string().refine(isDuration, 'it is no time, as 30s')
const http = z.strictObject({
  port: z.int().min(0).max(65_535).optional(),
  host: z.string().min(1).optional(),
  tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1) }).optional(),
  requireToken: z.boolean().optional(),
  bodyLimit: z.int().min(1_024).optional(),
  rate: z.strictObject({ requests: z.int().min(1), window: duration }).optional(),
  headersTimeout: duration.optional(),
  requestTimeout: duration.optional(),
  idleTimeout: duration.optional(),
  heartbeat: duration.optional(),
  maxConnections: z.int().min(1).optional(),
  maxStreams: z.int().min(1).optional(),
})
const unique = <T extends { readonly name: string }>(all: readonly T[], context: z.RefinementCtx): void => {
  for (const [at, one] of all.entries())
    if (all.findIndex(({ name: other }) => other === one.name) < at)
      context.addIssue({ code: 'custom', path: [at, 'name'], message: `there are two of the name ${one.name}` })
}

function isDuration(text: string): boolean {
  try {
    return parseDuration(text) > 0
  } catch {
    return false
  }
}

const retention = z
  .strictObject({
    keep: z.string().optional(),
    classes: z.record(z.string(), z.string()).optional(),
    types: z.record(z.string(), z.string()).optional(),
    archive: z.string().optional(),
  })
  .superRefine((given, context) => {
    try {
      resolveRetention(given)
    } catch (error) {
      context.addIssue(issueOf(error, /^cannot use retention\./))
    }
  })

const privacy = z.strictObject({
  masterKeyFile: z.string().min(1).optional(),
  pseudonymKey: z.string().min(8, 'at least 8 characters').optional(),
  detect: z.enum(detections).optional(),
})

const selector = z.union([z.string(), z.strictObject({ type: oneOrMore(z.string()), where: z.string().optional() })])
const grouped = { by: z.enum(groupings).optional() }
/** What its texts say is checked by `resolveAlerts`. */
const alert = z.strictObject({
  name: z.string(),
  when: z
    .union([
      z.string(),
      z.strictObject({ count: selector, atLeast: z.int(), within: duration, ...grouped }),
      z.strictObject({ sequence: z.array(selector), within: duration, ...grouped }),
      z.strictObject({ missing: selector, after: selector.optional(), within: duration.optional(), ...grouped }),
    ])
    .optional(),
  for: z.string().optional(),
  severity: z.enum(severities).optional(),
  to: z.array(z.string()).optional(),
  repeat: z.string().optional(),
  off: z.boolean().optional(),
})
const alerts = z.array(alert).superRefine((given, context) => {
  try {
    resolveAlerts(given, 0)
  } catch (error) {
    context.addIssue(issueOf(error))
  }
})

const publish = z
  .strictObject({
    batch: z.strictObject({ size: z.int().optional(), wait: z.string().optional() }).optional(),
    rate: quantity.optional(),
    burst: quantity.optional(),
    bypass: quantity.optional(),
    duplicates: z
      .union([
        z.literal(false),
        z.strictObject({
          by: z.enum(['id', 'content']).optional(),
          window: z.string().optional(),
          count: z.int().optional(),
        }),
      ])
      .optional(),
    sequence: z.strictObject({ gaps: z.enum(['skip', 'wait', 'dead-letter']), wait: z.string().optional() }).optional(),
    most: z.strictObject({ events: quantity.optional(), bytes: quantity.optional() }).optional(),
    timeout: z.string().optional(),
    retry: z.strictObject({ initial: z.string().optional(), max: z.string().optional() }).optional(),
    compress: quantity.optional(),
    deadLetters: z.boolean().optional(),
  })
  .superRefine((given, context) => {
    try {
      resolvePublish(given)
    } catch (error) {
      context.addIssue(issueOf(error, /^cannot use publish\./))
    }
  })

/** What `evt.config.*` and `$XDG_CONFIG_HOME/evt/config.yaml` may hold. */
export const configFileSchema = z.strictObject({
  store: z.string().optional(),
  profile: z.string().optional(),
  color: z.enum(['auto', 'always', 'never']).optional(),
  services: z.array(z.union([z.string(), service])).optional(),
  grace: quantity.optional(),
  logLevel: z.enum(logLevels).optional(),
  retryAttempts: quantity.optional(),
  timeout: quantity.optional(),
  processing: z.boolean().optional(),
  maxConcurrentHandlers: quantity.optional(),
  watchdog: quantity.optional(),
  checkInterval: quantity.optional(),
  batchSize: quantity.optional(),
  blockTime: quantity.optional(),
  sinks: z.array(sink, listed).superRefine(unique).optional(),
  sources: z.array(source, listed).superRefine(unique).optional(),
  consume: z.string().optional(),
  http: http.optional(),
  retention: retention.optional(),
  masterKey: z.string().min(1).optional(),
  privacy: privacy.optional(),
  drafts: patterns.optional(),
  publish: publish.optional(),
  publishBatch: quantity.optional(),
  publishTimeout: quantity.optional(),
  bus: z.enum(busTypes).optional(),
  busLayout: z.enum(layouts).optional(),
  busGroup: z.string().optional(),
  redisUrl: z.string().optional(),
  redisPrefix: z.string().optional(),
  kafkaServers: z.string().optional(),
  kafkaPrefix: z.string().optional(),
  rabbitmqUrl: z.string().optional(),
  eventStore: z.boolean().optional(),
  sagas: z.boolean().optional(),
  alerts: alerts.optional(),
  monitoringInterval: quantity.optional(),
  sagaTimeout: quantity.optional(),
  tracing: z.union([z.boolean(), z.strictObject({ conventions: z.enum(['1.24', '1.30']).optional() })]).optional(),
  profiles: z.record(z.string(), profile).optional(),
})
/** The argument of `defineConfig`. */
export type EvtConfig = z.input<typeof configFileSchema>

export function checkConfigFile(content: unknown, path: string): z.output<typeof configFileSchema> {
  const checked = configFileSchema.safeParse(content)
  if (checked.success) return checked.data
  const { text, hint } = problemsOf(checked.error.issues, configFileSchema)
  throw new EvtError('config', `cannot use ${path}: ${text}`, { hint })
}
