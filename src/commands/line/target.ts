import { EvtError } from '../../core/errors.ts'
import { readsAsMeant, redactUrl } from '../../core/mask.ts'
import type { Difference, Transport } from '../../transports/transport.ts'
import type { Runtime } from '../runtime.ts'
import { isOwnMachine, requireStore } from './store.ts'

/** A Postgres database as the store, and no broker. */
export const isStoreUrl = (url: string) => /^postgres(ql)?:\/\/[^?]*(\?(?!(.*&)?(channel|table)=)|$)/i.test(url)

/** The URL of what the configuration calls so, or of the store in use for `store`; anything else as it is. */
export async function urlNamed(word: string, runtime: Pick<Runtime, 'config' | 'cwd'>): Promise<string> {
  const { config } = runtime
  const found = [...config.get('sinks').value, ...config.get('sources').value].find(({ name }) => name === word)
  if (found) return found.url
  return word === 'store' ? (await requireStore(runtime)).url : word
}

/** Every host of the URL is this machine; without a host it is this process or the machine's default. */
export function isOwnBroker(url: string): boolean {
  const authority = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#]*@)?([^/?#]*)/i.exec(url)?.[1]
  if (authority === undefined) return false
  return authority.split(',').every((host) => isOwnMachine(`tcp://${host}/`))
}

/** A broker to write to. */
export interface Target {
  readonly transport: Transport
  /** Without the password. */
  readonly shown: string
  /** Nobody else's: on this machine, or in this process. */
  readonly isOwn: boolean
}

/** Opens it for `work` and closes it however that ends. Throws `usage` for a URL that cannot be read, `connect`. */
export async function withTarget<T>(
  { output }: Pick<Runtime, 'output'>,
  url: string,
  work: (target: Target) => Promise<T>,
): Promise<T> {
  const shown = redactUrl(url)
  if (!readsAsMeant(url))
    throw new EvtError('usage', `cannot use ${shown}: its user or password ends at a raw character`, {
      hint: 'percent-encode what is special in a URL: / is %2F, # is %23, ? is %3F, @ is %40, : is %3A, % is %25',
    })
  const { openTransport } = await import('../../transports/registry.ts')
  const onProblem = (error: Error) => output.warn(error.message)
  const transport = await openTransport(url, { onProblem })
  output.detail(`target: ${shown} (${transport.name})`)
  try {
    return await work({ transport, shown, isOwn: !transport.capabilities.durable || isOwnBroker(url) })
  } finally {
    await transport.close()
  }
}

/** The one topic that the URL names. Throws `usage` when it names none or several. */
export function topicNamed({ transport, shown }: Target, verb: string): string {
  const [topic, ...more] = transport.named
  const hint = 'such as redis://host/0?stream=orders, kafka://host/orders or amqp://host/vhost?queue=orders'
  if (topic === undefined)
    throw new EvtError('usage', `cannot ${verb} to ${shown}: the URL does not say which topic`, { hint })
  if (more.length > 0)
    throw new EvtError('usage', `cannot ${verb} to ${shown}: it names ${transport.named.length} topics`, { hint })
  return topic
}

export interface TopicAsked {
  readonly create: boolean
  /** As the line says; for a new topic 16 when it says nothing. */
  readonly lanes: number | undefined
}

const usualLanes = 16

/**
 * Makes the topic when that is asked for. Throws `usage` when it does not exist, and when it has another number of lanes than the line
 * says; a topic of somebody else is taken as it is.
 */
export async function assertTopic(
  { transport, shown }: Target,
  topic: string,
  { create, lanes }: TopicAsked,
): Promise<void> {
  const spec = { name: topic, lanes: lanes ?? usualLanes }
  const [difference] = await transport.ensure([spec], 'check')
  if (!difference) return
  if (await exists(transport, difference)) {
    if (create && lanes !== undefined) throw asItIs(difference, shown)
    return
  }
  if (!create || difference.madeElsewhere)
    throw new EvtError('usage', `cannot publish to ${topic} on ${shown}: it does not exist`, {
      hint: difference.madeElsewhere
        ? difference.remedy
        : `--create makes it, with ${spec.lanes} lanes or as many as --lanes says`,
    })
  const [left] = await transport.ensure([spec], 'create')
  if (left) throw asItIs(left, shown)
}

/** What is missing among ours may be somebody else's. */
async function exists(transport: Transport, { topic, problem }: Difference): Promise<boolean> {
  if (problem !== 'missing') return true
  const { topics } = await transport.inspect([topic])
  return topics.some((one) => one.topic === topic)
}

const asItIs = ({ topic, problem, remedy }: Difference, shown: string) =>
  new EvtError('usage', `cannot use ${topic} on ${shown}: ${problem}`, { hint: remedy })
