// Room config: what can be configured, and where each value came from. May not know commands, the store or the process:
// the environment is an argument.
import type { AlertRule } from '../core/alerts/alert-rule.ts'
import { formatDuration } from '../core/duration.ts'
import type { HttpOptions } from '../core/http-options.ts'
import type { Layout } from '../core/layout.ts'
import { redactUrl } from '../core/mask.ts'
import { detections, type PrivacyOptions } from '../core/privacy-options.ts'
import type { RetentionOptions } from '../core/retention.ts'
import type { SinkOptions, SourceOptions } from '../core/sinks-and-sources.ts'
import { parseAlerts, shownAlerts } from './alerts.ts'
import { type BusType, parseBusType, parseLayout } from './bus-names.ts'
import { parseNamedUrls, shownConnections } from './connections.ts'
import { type HandlingValues, handlingKeys } from './handling-keys.ts'
import { parseHttpAddress, shownHttpAddress } from './http.ts'
import { type PublishValues, publishKeys } from './publish-keys.ts'
import { atLeastOne, durationOf, listOf, oneOf, truth } from './read-value.ts'
import { parseRetention, shownRetention } from './retention.ts'
import { chosenServices, type Services, shownServices } from './services.ts'
import type { Sourced } from './sourced.ts'
import { type TracingValues, tracingKeys } from './tracing.ts'

export interface ConfigValues extends TracingValues, PublishValues, HandlingValues {
  /** URL of the store; without one the embedded store that runs is used. */
  readonly store: string | undefined
  readonly profile: string | undefined
  readonly color: 'auto' | 'always' | 'never'
  /** Of the project, or reference services by name. */
  readonly services: Services
  readonly graceMs: number
  readonly logLevel: LogLevel
  readonly retryAttempts: number
  readonly timeoutMs: number
  /** False: capture goes on, handlers wait. */
  readonly processing: boolean
  readonly sinks: readonly SinkOptions[]
  readonly sources: readonly SourceOptions[]
  /** The sink whose topics handlers read; without one, the log. */
  readonly consume: string | undefined
  /** Without it, no HTTP. */
  readonly http: HttpOptions | undefined
  readonly retention: RetentionOptions | undefined
  /** Wraps the keys of subjects: base64, the current one first. */
  readonly masterKey: string | undefined
  readonly privacy: PrivacyOptions | undefined
  /** Patterns of types whose draft contracts may be published. */
  readonly drafts: readonly string[]
  readonly bus: BusType | undefined
  readonly busLayout: Layout
  readonly busGroup: string | undefined
  readonly redisUrl: string | undefined
  readonly redisPrefix: string | undefined
  readonly kafkaServers: string | undefined
  readonly kafkaPrefix: string | undefined
  readonly rabbitmqUrl: string | undefined
  /** With a bus: events are stored before they go to it. */
  readonly eventStore: boolean
  /** False: sagas wait, and their events with them. */
  readonly sagas: boolean
  readonly sagaTimeoutMs: number
  /** Beside the built-in ones, and in place of those of the same name. */
  readonly alerts: readonly AlertRule[]
  readonly monitoringIntervalMs: number
}
export type ConfigKey = keyof ConfigValues

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

interface KeyRule<T> {
  readonly says: string
  /** Its name in a file. */
  readonly name: string
  readonly default: T
  /** The value of a flag, a variable or a file, as text. */
  parse(text: string): T
  /** What the seed systems call it; the first that is set counts. */
  readonly alias?: string | readonly string[]
  readonly show?: (value: T) => string
  /** What a flag or a variable says chooses among what a file says, in place of replacing it. */
  readonly choose?: (asked: Sourced<T>, configured: Sourced<T>) => T
}

export const configKeys: { readonly [K in ConfigKey]: KeyRule<ConfigValues[K]> } = {
  store: {
    name: 'store',
    says: 'URL of the store',
    default: undefined,
    parse: (text) => text,
    show: shownUrl,
  },
  profile: { name: 'profile', says: 'named set of connections', default: undefined, parse: (text) => text },
  color: { name: 'color', says: 'colour of the output', default: 'auto', parse: oneOf(['auto', 'always', 'never']) },
  services: {
    name: 'services',
    says: 'services that a bridge runs; else none',
    default: [],
    parse: listOf,
    show: shownServices,
    choose: chosenServices,
  },
  graceMs: {
    name: 'grace',
    says: 'time to drain when stopped',
    default: 10_000,
    parse: durationOf,
    show: formatDuration,
  },
  logLevel: {
    name: 'logLevel',
    says: 'level of the bridge’s log',
    default: 'info',
    parse: levelOf,
    alias: 'EVENT_LOG_LEVEL',
  },
  retryAttempts: {
    name: 'retryAttempts',
    says: 'attempts of a handler in all',
    default: 5,
    parse: atLeastOne,
    alias: ['EVENT_RETRY_ATTEMPTS', 'EVENT_SUBSCRIBER_MAX_RETRIES'],
  },
  timeoutMs: {
    name: 'timeout',
    says: 'time one attempt may take',
    default: 30_000,
    parse: durationOf,
    alias: 'EVENT_TIMEOUT',
    show: formatDuration,
  },
  processing: {
    name: 'processing',
    says: 'whether handlers run',
    default: true,
    parse: truth,
    alias: 'EVENT_PROCESSING_ENABLED',
  },
  ...handlingKeys,
  sinks: {
    name: 'sinks',
    says: 'where the log is carried to',
    default: [],
    parse: parseNamedUrls,
    show: shownConnections,
  },
  sources: {
    name: 'sources',
    says: 'foreign traffic to store',
    default: [],
    parse: parseNamedUrls,
    show: shownConnections,
  },
  consume: {
    name: 'consume',
    says: 'sink that handlers read; else the log',
    default: undefined,
    parse: (text) => text,
  },
  http: {
    name: 'http',
    says: 'HTTP of a bridge: port or host:port',
    default: undefined,
    parse: parseHttpAddress,
    show: shownHttpAddress,
  },
  retention: {
    name: 'retention',
    says: 'days that events are kept, by class',
    default: undefined,
    parse: parseRetention,
    alias: 'EVENT_STORE_TTL_DAYS',
    show: shownRetention,
  },
  masterKey: {
    name: 'masterKey',
    says: 'wraps the keys of encrypted fields',
    default: undefined,
    parse: (text) => text,
    show: (key) => (key ? '***' : ''),
  },
  privacy: {
    name: 'privacy',
    says: 'unmarked personal fields: off, warn, mask, refuse',
    default: undefined,
    parse: (text) => ({ detect: oneOf(detections)(text) }),
    show: (privacy) => privacy?.detect ?? '',
  },
  drafts: {
    name: 'drafts',
    says: 'draft contracts that may be published',
    default: [],
    parse: listOf,
    show: (drafts) => drafts.join(','),
  },
  ...publishKeys,
  ...tracingKeys,
  bus: {
    name: 'bus',
    says: 'one broker for all events',
    default: undefined,
    parse: parseBusType,
    alias: 'EVENT_BUS_TYPE',
  },
  busLayout: { name: 'busLayout', says: 'topics of the bus', default: 'shards', parse: parseLayout },
  busGroup: {
    name: 'busGroup',
    says: 'consumer group on the bus',
    default: undefined,
    parse: (text) => text,
    alias: ['KAFKA_CONSUMER_GROUP', 'EVENT_SUBSCRIBER_CONSUMER_GROUP'],
  },
  redisUrl: {
    name: 'redisUrl',
    says: 'Redis of the bus',
    default: undefined,
    parse: (text) => text,
    alias: ['REDIS_EVENT_URL', 'EVENT_PUBLISHER_REDIS_URL'],
    show: shownUrl,
  },
  redisPrefix: {
    name: 'redisPrefix',
    says: 'before its streams’ names',
    default: undefined,
    parse: (text) => text,
    alias: 'REDIS_CHANNEL_PREFIX',
  },
  kafkaServers: {
    name: 'kafkaServers',
    says: 'Kafka of the bus: hosts or URL',
    default: undefined,
    parse: (text) => text,
    alias: 'KAFKA_BOOTSTRAP_SERVERS',
    show: shownUrl,
  },
  kafkaPrefix: {
    name: 'kafkaPrefix',
    says: 'before its topics’ names',
    default: undefined,
    parse: (text) => text,
    alias: 'KAFKA_TOPIC_PREFIX',
  },
  rabbitmqUrl: {
    name: 'rabbitmqUrl',
    says: 'RabbitMQ of the bus',
    default: undefined,
    parse: (text) => text,
    alias: 'RABBITMQ_URL',
    show: shownUrl,
  },
  sagas: {
    name: 'sagas',
    says: 'whether sagas run',
    default: true,
    parse: truth,
    alias: 'ENABLE_SAGAS',
  },
  sagaTimeoutMs: {
    name: 'sagaTimeout',
    says: 'time that a saga may take',
    default: 3_600_000,
    parse: durationOf,
    alias: 'SAGA_TIMEOUT_SECONDS',
    show: formatDuration,
  },
  alerts: {
    name: 'alerts',
    says: 'alerts beside the built-in ones',
    default: [],
    parse: parseAlerts,
    show: shownAlerts,
  },
  monitoringIntervalMs: {
    name: 'monitoringInterval',
    says: 'time between looks at traffic and alerts',
    default: 5_000,
    parse: durationOf,
    alias: 'EVENT_MONITORING_INTERVAL',
    show: formatDuration,
  },
  eventStore: {
    name: 'eventStore',
    says: 'with a bus: events are stored first',
    default: false,
    parse: truth,
    alias: 'ENABLE_EVENT_STORE',
  },
}

/** `EVT_RETRY_ATTEMPTS` for `retryAttempts`. */
export const variableOf = (name: string) => `EVT_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`

function levelOf(text: string): LogLevel {
  return oneOf(logLevels)(text.toLowerCase() === 'warning' ? 'warn' : text.toLowerCase())
}

function shownUrl(url: string | undefined): string {
  return url ? redactUrl(url) : ''
}
