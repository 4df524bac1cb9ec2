// The management API, where the URL names it: what the server does not tell over AMQP.
import { EvtError } from '../../core/errors.ts'
import { redactUrl } from '../../core/mask.ts'
import type { RabbitOptions } from './options.ts'

const answerWithinMs = 5_000

export interface ManagedQueue {
  /** Ready and held by consumers. Its statistics are some seconds old, and absent for a queue that is new. */
  readonly messages?: number
}

/** undefined where the URL names no management API. Throws `connect`, `refused`. */
export async function managedQueue(options: RabbitOptions, queue: string): Promise<ManagedQueue | undefined> {
  if (options.management === undefined) return undefined
  return (await ask(
    options.management,
    `queues/${encodeURIComponent(options.vhost)}/${encodeURIComponent(queue)}`,
  )) as ManagedQueue
}

interface Listed {
  readonly name: string
  readonly type?: string
  readonly messages_ready?: number
  readonly messages_unacknowledged?: number
}

interface Consumer {
  readonly consumer_tag: string
  readonly queue: { readonly name: string }
  /** An empty list for one of a stream whose channel has ended: 3.10 lists it for minutes more. */
  readonly channel_details: object
}

interface Binding {
  readonly source: string
  readonly destination: string
  readonly destination_type: string
  readonly routing_key: string
  readonly properties_key: string
}

/**
 * Every queue of the vhost with what is in it, each of its consumers and each binding; undefined where the URL names no management API.
 * Throws `connect`, `refused`.
 */
export async function managedFacts(options: RabbitOptions): Promise<Readonly<Record<string, string>> | undefined> {
  if (options.management === undefined) return undefined
  const base = options.management
  const vhost = encodeURIComponent(options.vhost)
  const [queues, consumers, bindings] = (await Promise.all([
    // Without the statistics, which are seconds old.
    ask(base, `queues/${vhost}?disable_stats=true&enable_queue_totals=true`),
    ask(base, `consumers/${vhost}`),
    ask(base, `bindings/${vhost}`),
  ])) as [readonly Listed[], readonly Consumer[], readonly Binding[]]
  const facts: Record<string, string> = {}
  for (const { name, type = 'classic', messages_ready: ready = 0, messages_unacknowledged: held = 0 } of queues)
    facts[`queue ${name}`] = `${type}, ${ready} ready, ${held} unacknowledged`
  for (const { consumer_tag: tag, queue, channel_details: channel } of consumers)
    if (!Array.isArray(channel)) facts[`consumer ${tag} of queue ${queue.name}`] = 'there'
  for (const { source, destination, destination_type: type, routing_key: key, properties_key: own } of bindings)
    if (source !== '') facts[`binding ${source} → ${type} ${destination} (${own || key})`] = 'there'
  return facts
}

async function ask(base: URL, path: string): Promise<unknown> {
  const url = new URL(`${base.pathname.replace(/\/$/, '')}/api/${path}`, base)
  const login = `${decodeURIComponent(base.username)}:${decodeURIComponent(base.password)}`
  url.username = ''
  url.password = ''
  const cannot = `cannot ask the management API at ${redactUrl(`${url.origin}/`)}`
  let response: Response
  try {
    const headers = { authorization: `Basic ${Buffer.from(login).toString('base64')}` }
    response = await fetch(url, { headers, signal: AbortSignal.timeout(answerWithinMs) })
  } catch (cause) {
    throw new EvtError('connect', `${cannot}: it does not answer`, {
      hint: 'it is a plugin: rabbitmq-plugins enable rabbitmq_management; its port is 15672',
      cause,
    })
  }
  if (response.ok) return response.json()
  throw new EvtError('refused', `${cannot}: ${response.status} ${response.statusText}`, {
    hint: 'the user needs the tag monitoring: rabbitmqctl set_user_tags USER monitoring',
  })
}
