import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { busOf } from '../../src/config/bus.ts'
import { configKeys } from '../../src/config/keys.ts'
import { loadConfig } from '../../src/config/load.ts'

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'evt-config-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
})
const load = (env: Record<string, string> = {}, file?: object) => {
  if (file) writeFileSync(join(root, 'evt.config.json'), JSON.stringify(file))
  return loadConfig({ cwd: root, env, flags: {} })
}

/** As a file spells it. */
const variable = (name: string) => `\${${name}}`

describe('sinks and sources', () => {
  it('are read from a file, with variables filled in where they are used', async () => {
    const url = `redis://u:${variable('SECRET')}@h:6379/0`
    const file = { sinks: [{ name: 'cache', url, patterns: 'user.*', layout: 'per-type' }] }
    const config = await load({ SECRET: 'hush' }, file)
    expect(config.get('sinks').value).toEqual([
      { name: 'cache', url: 'redis://u:hush@h:6379/0', patterns: ['user.*'], layout: 'per-type' },
    ])
    expect(configKeys.sinks.show?.(config.get('sinks').value)).toBe('cache=redis://u:***@h:6379/0')
  })

  it('are read from a variable, named or by their scheme', async () => {
    const config = await load({ EVT_SINKS: 'redis://h/0  k=kafka://a:9092,b:9092/t', EVT_CONSUME: 'k' })
    expect(config.get('sinks').value).toEqual([
      { name: 'redis', url: 'redis://h/0' },
      { name: 'k', url: 'kafka://a:9092,b:9092/t' },
    ])
    expect(config.get('consume').value).toBe('k')
    await expect(load({ EVT_SOURCES: 'orders' })).rejects.toThrow('cannot use EVT_SOURCES orders: it is no URL')
  })

  it.each([
    [{ sinks: [{ name: 'a', url: 'h:6379' }] }, 'sinks.0.url: it is no URL'],
    [{ sinks: [{ name: 'a b', url: 'redis://h' }] }, 'sinks.0.name: a name is'],
    [{ sinks: [{ name: 'a', url: 'redis://h', layout: 'wide' }] }, 'sinks.0.layout'],
    [{ sinks: [{ name: 'a', url: 'redis://h', patterns: ['user.{'] }] }, 'sinks.0.patterns'],
    [{ sinks: [{ name: 'a', url: 'redis://h', lane: 3 }] }, 'lane'],
    [{ sinks: [{ name: 'a', url: 'redis://h', rename: { 'a.*': 'b' } }] }, 'sinks.0.rename: cannot rename a.* to b'],
    [
      {
        sources: [
          { name: 'a', url: 'redis://h' },
          { name: 'a', url: 'redis://h' },
        ],
      },
      'two of the name a',
    ],
  ])('say what is wrong: %j', async (file, problem) => {
    await expect(load({}, file)).rejects.toThrow(problem)
  })
})

describe('the bus of the seed systems', () => {
  it('is none unless one is named', async () => {
    expect(busOf(await load({ REDIS_EVENT_URL: 'redis://h' }))).toBeUndefined()
  })

  it.each([
    [{ EVENT_BUS_TYPE: 'redis' }, { type: 'redis', url: 'redis://localhost:6379', prefix: 'events:', topic: 'events' }],
    [
      { EVENT_BUS_TYPE: 'redis', REDIS_EVENT_URL: 'redis://r/1', REDIS_CHANNEL_PREFIX: 'my', KAFKA_TOPIC_PREFIX: 'no' },
      { url: 'redis://r/1', prefix: 'my:', topic: 'my', stored: false },
    ],
    [{ EVENT_BUS_TYPE: 'redis', EVENT_PUBLISHER_REDIS_URL: 'redis://p/2' }, { url: 'redis://p/2' }],
    [
      {
        EVENT_BUS_TYPE: 'kafka',
        KAFKA_BOOTSTRAP_SERVERS: 'a:9092,b:9092',
        KAFKA_TOPIC_PREFIX: 'events',
        KAFKA_CONSUMER_GROUP: 'handlers',
        ENABLE_EVENT_STORE: 'true',
      },
      { url: 'kafka://a:9092,b:9092', prefix: 'events.', group: 'handlers', stored: true },
    ],
    [{ EVENT_BUS_TYPE: 'RabbitMQ' }, { type: 'rabbitmq', url: 'amqp://localhost', group: 'event-handlers' }],
    [
      { EVENT_BUS_TYPE: 'memory', EVT_BUS_LAYOUT: 'per-type' },
      { url: 'memory://bus', layout: 'per-type' },
    ],
    [{ EVENT_BUS_TYPE: 'noop' }, { type: 'noop', url: 'noop://' }],
  ])('%j', async (env, bus) => {
    expect(busOf(await load(env as never))).toMatchObject(bus)
  })

  it('refuses another name', async () => {
    await expect(load({ EVENT_BUS_TYPE: 'nats' })).rejects.toThrow('none of redis, kafka, rabbitmq, memory, noop')
  })
})
