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
