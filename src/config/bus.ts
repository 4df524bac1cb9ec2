import type { Layout } from '../core/layout.ts'
import type { BusType } from './bus-names.ts'
import type { Config } from './config.ts'

/** The one broker that everything goes over, as the seed systems configure it. */
export interface Bus {
  readonly type: BusType
  /** For `openTransport`. Holds the password. */
  readonly url: string
  readonly layout: Layout
  /** Of layouts `shards` and `single`. */
  readonly topic: string
  /** Of layout `per-type`, before the type. */
  readonly prefix: string
  readonly group: string
  /** Events go to the store first, and from there to this bus; otherwise there is no store. */
  readonly stored: boolean
}

const defaultPrefix = 'events'
const defaultGroup = 'event-handlers'

/** What `EVENT_BUS_TYPE` and its like say; undefined when no bus is configured. */
export function busOf(config: Config): Bus | undefined {
  const type = config.get('bus').value
  if (type === undefined) return undefined
  const { url, prefix, separator } = brokerOf(config, type)
  return {
    type,
    url,
    layout: config.get('busLayout').value,
    topic: prefix,
    prefix: `${prefix}${separator}`,
    group: config.get('busGroup').value ?? defaultGroup,
    stored: config.get('eventStore').value,
  }
}

interface Broker {
  readonly url: string
  readonly prefix: string
  /** What people write between the parts of a name there. */
  readonly separator: string
}

function brokerOf(config: Config, type: BusType): Broker {
  const redisPrefix = config.get('redisPrefix').value ?? defaultPrefix
  switch (type) {
    case 'redis':
      return { url: redisUrl(config), prefix: redisPrefix, separator: ':' }
    case 'kafka':
      return {
        url: kafkaUrl(config.get('kafkaServers').value ?? 'localhost:9092'),
        prefix: config.get('kafkaPrefix').value ?? defaultPrefix,
        separator: '.',
      }
    case 'rabbitmq':
      return { url: config.get('rabbitmqUrl').value ?? 'amqp://localhost', prefix: defaultPrefix, separator: '.' }
    case 'memory':
      return { url: 'memory://bus', prefix: defaultPrefix, separator: '.' }
    case 'noop':
      return { url: 'noop://', prefix: defaultPrefix, separator: '.' }
  }
}

/** What the URL says itself counts before the key. */
function redisUrl(config: Config): string {
  const [url, blockTimeMs] = [config.get('redisUrl').value ?? 'redis://localhost:6379', config.get('blockTimeMs').value]
  if (blockTimeMs === undefined || /[?&]look=/.test(url)) return url
  return `${url}${url.includes('?') ? '&' : '?'}look=${blockTimeMs}ms`
}

/** A list of hosts, as Kafka's own clients take it, or a URL. */
const kafkaUrl = (servers: string) => (servers.includes('://') ? servers : `kafka://${servers}`)
