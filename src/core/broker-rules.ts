import type { AccessRules } from './access.ts'
import { compilePatterns, patternAlternatives } from './pattern.ts'

export const brokers = ['redis', 'kafka', 'rabbitmq'] as const
export type Broker = (typeof brokers)[number]

export interface BrokerRulesOptions {
  /** Before the type in a topic's name, with the separator; default `events:` for Redis, `events.` for the others. */
  readonly prefix?: string | undefined
  /** Types that are known: what a broker's own patterns cannot say is listed with them. */
  readonly types: readonly string[]
}

/**
 * The rules as that broker's administrator types them, for topics of layout `per-type`: in a topic that holds all types no broker can
 * tell them apart. A password is never written, only where it goes.
 */
export function brokerRules(
  broker: Broker,
  services: readonly AccessRules[],
  options: BrokerRulesOptions,
): readonly string[] {
  const prefix = options.prefix ?? (broker === 'redis' ? 'events:' : 'events.')
  return services.flatMap((service) => writers[broker](service, { prefix, types: options.types }))
}

type Given = Required<Pick<BrokerRulesOptions, 'types'>> & { readonly prefix: string }
type Writer = (service: AccessRules, given: Given) => readonly string[]

const writers: Readonly<Record<Broker, Writer>> = {
  redis({ name, publishes = ['*'], subscribes = ['*'] }, { prefix }) {
    const keys = (pattern: string) => patternAlternatives(pattern).map((one) => `${prefix}${one.replaceAll('**', '*')}`)
    const own = [...publishes, ...subscribes].flatMap(keys).map((key) => `~{${key}}:evt:*`)
    const written = publishes.flatMap(keys).flatMap((key) => [`~${key}`])
    const read = subscribes.flatMap(keys).map((key) => `%R~${key}`)
    const all = [...new Set([...written, ...read, ...own])].map(shell).join(' ')
    return [
      `ACL SETUSER ${name} on >PASSWORD resetkeys resetchannels '&*' ${all} -@all +@read +@write +@stream +@scripting +@pubsub +@connection`,
    ]
  },
  kafka({ name, publishes = ['*'], subscribes = ['*'] }, { prefix, types }) {
    const acl = `kafka-acls.sh --bootstrap-server SERVER --add --allow-principal User:${name}`
    const topics = (patterns: readonly string[]) => [
      ...new Set(patterns.flatMap((one) => kafkaTopics(prefix, one, types))),
    ]
    return [
      ...topics(publishes).map((topic) => `${acl} --operation Write --operation Describe --operation Create ${topic}`),
      ...topics(subscribes).map((topic) => `${acl} --operation Read --operation Describe ${topic}`),
      `${acl} --operation Read --operation Describe --group ${shell(`${name}.`)} --resource-pattern-type prefixed`,
      `${acl} --operation IdempotentWrite --cluster`,
    ]
  },
  rabbitmq({ name, publishes = ['*'], subscribes = ['*'] }, { prefix }) {
    const regex = (patterns: readonly string[]) => {
      const names = patterns.flatMap(patternAlternatives).map(expressionOf)
      return names.length === 0 ? '^$' : `^${escaped(prefix)}(${names.join('|')})([.:].*)?$`
    }
    const [write, read] = [regex(publishes), regex(subscribes)]
    const own = publishes.length + subscribes.length === 0 ? '^$' : `${write}|${read}`
    return [`rabbitmqctl set_permissions --vhost / ${name} ${shell(own)} ${shell(own)} ${shell(own)}`]
  },
}

/** Kafka knows names and beginnings of names; other patterns are listed type by type. */
function kafkaTopics(prefix: string, pattern: string, types: readonly string[]): readonly string[] {
  return patternAlternatives(pattern).flatMap((one) => {
    const start = one.replace(/\*\*?$/, '')
    if (start.includes('*')) {
      const wanted = compilePatterns([one])
      return types.filter((type) => wanted.matches(type)).map((type) => `--topic ${shell(prefix + type)}`)
    }
    const topic = `--topic ${shell(prefix + start)}`
    return [start === one ? topic : `${topic} --resource-pattern-type prefixed`]
  })
}

function expressionOf(pattern: string): string {
  const segments = pattern.split('.')
  return segments
    .map((segment, at) => {
      if (segment === '**') return '.*'
      if (segment === '*') return at === 0 || at === segments.length - 1 ? '.+' : '[^.]+'
      return escaped(segment)
    })
    .join('\\.')
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
const shell = (text: string) => (/^[\w.:/=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`)
