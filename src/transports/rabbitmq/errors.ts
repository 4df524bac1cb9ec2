import { type ErrorCode, EvtError, toError } from '../../core/errors.ts'

/** What was asked of the server, for people: `publish to orders`, `declare queue orders/billing/0`. */
export type Attempted = string

interface Translation {
  readonly code: ErrorCode
  readonly reason: string
  readonly hint: string
}

const lost = (reason: string): Translation => ({
  code: 'connect',
  reason,
  hint: 'RabbitMQ was restarted or the network failed; evt reconnects by itself where it runs',
})

/** Codes of the library and of AMQP (`reply-code`), and those of Node's sockets. */
const byCode: Readonly<Record<string, (text: string) => Translation>> = {
  ECONNREFUSED: () => unreachable('connection refused'),
  ENOTFOUND: () => unreachable('the host is unknown'),
  EAI_AGAIN: () => unreachable('the host cannot be looked up'),
  ETIMEDOUT: () => unreachable('no answer'),
  EHOSTUNREACH: () => unreachable('no route to the host'),
  ENETUNREACH: () => unreachable('no route to the network'),
  CONNECTION_TIMEOUT: () => unreachable('nothing there speaks AMQP within 5 s'),
  TIMEOUT: () => unreachable('no answer'),
  ECONNRESET: () => lost('the connection was lost'),
  EPIPE: () => lost('the connection was lost'),
  CONN_CLOSE: () => lost('the connection was closed by the server'),
  READ_END: () => lost('the connection was closed by the server'),
  SOCKET_TIMEOUT: () => lost('the server was silent for too long'),
  CONNECTION_FORCED: (text) => lost(`the server closed the connection: ${text}`),
  CH_CLOSE: () => lost('the channel was closed'),
  CLOSED: () => lost('the channel was closed'),
  CLOSING: () => lost('the connection was closed'),
  VERSION_MISMATCH: (text) => ({ code: 'connect', reason: text, hint: 'evt speaks AMQP 0-9-1; enable that listener' }),
  ACCESS_REFUSED: (text) => accessRefused(text),
  NOT_ALLOWED: (text) => ({
    code: 'connect',
    reason: text,
    hint: /vhost/.test(text)
      ? '`rabbitmqctl list_vhosts` shows which there are; a vhost named with a slash is written %2F'
      : 'grant the user access to the vhost: rabbitmqctl set_permissions -p VHOST USER ".*" ".*" ".*"',
  }),
  NOT_FOUND: (text) => notFound(text),
  RESOURCE_LOCKED: (text) => ({
    code: 'refused',
    reason: text,
    hint: 'another connection has it for itself; it is free when that one ends',
  }),
  PRECONDITION_FAILED: (text) => preconditionFailed(text),
  CANCEL_FORCED: () => ({
    code: 'connect',
    reason: 'the queue was deleted or its node left',
    hint: 'evt declares it again',
  }),
}

const unreachable = (reason: string): Translation => ({
  code: 'connect',
  reason,
  hint: 'check host and port, and that RabbitMQ runs there (`rabbitmqctl status`)',
})

/** RabbitMQ says `NOT_FOUND` too while a queue's node starts, or is down: that queue is not missing. */
const saysMissing = /^no (queue|exchange|binding) /

function notFound(text: string): Translation {
  if (saysMissing.test(text)) {
    return {
      code: 'usage',
      reason: text,
      hint: '`rabbitmqctl list_exchanges` and `rabbitmqctl list_queues` show which there are in this vhost',
    }
  }
  return { code: 'connect', reason: text, hint: 'its node starts or is down: `rabbitmqctl cluster_status`' }
}

/** Whether it is certain that there is no such queue or exchange. */
export function isMissing(thrown: unknown): boolean {
  const error = thrown instanceof EvtError ? toError(thrown.cause) : toError(thrown)
  return codeOf(error) === 'NOT_FOUND' && saysMissing.test(textOf(error))
}

/** It exists, and its node does not answer for it (yet). */
export function isDown(thrown: unknown): boolean {
  const error = thrown instanceof EvtError ? toError(thrown.cause) : toError(thrown)
  return codeOf(error) === 'NOT_FOUND' && !saysMissing.test(textOf(error))
}

/** `BasicPublish: NOT_FOUND - no exchange 'x' in vhost '/'`: the method and the code say nothing to people. */
const textOf = ({ message }: Error): string => message.replace(/^\w+: /, '').replace(/^[A-Z_]+ - /, '')

function accessRefused(text: string): Translation {
  if (/login|authentication/i.test(text)) {
    return {
      code: 'connect',
      reason: 'the server refuses this user or password',
      hint: 'check both in the URL; the user `guest` may only connect from the server itself',
    }
  }
  return {
    code: 'refused',
    reason: text,
    hint: 'rabbitmqctl set_permissions -p VHOST USER CONFIGURE WRITE READ takes three patterns; evt needs all three for what it makes',
  }
}

function preconditionFailed(text: string): Translation {
  if (sizeLimitIn(text) !== undefined) {
    return { code: 'too-large', reason: text, hint: 'raise max_message_size in rabbitmq.conf, or publish less at once' }
  }
  const differs = parseInequivalence(text)
  if (differs === undefined)
    return { code: 'conflict', reason: text, hint: 'compare with `rabbitmqctl list_queues name arguments`' }
  return {
    code: 'conflict',
    reason: `it exists with another ${differs.argument}: ${differs.current ?? 'none'}, not ${differs.received ?? 'none'}`,
    hint: 'nothing was changed: delete it when it is empty and not needed, or use another name',
  }
}

export interface Inequivalence {
  readonly argument: string
  /** undefined: not given. */
  readonly received: string | undefined
  readonly current: string | undefined
  readonly type: string | undefined
}

/** What differs, from `inequivalent arg 'x' for queue 'q' in vhost '/': received none but current is the value '3' of type 'long'`. */
export function parseInequivalence(text: string): Inequivalence | undefined {
  const value = "(none|(?:the value )?'([^']*)'(?: of type '([^']*)')?)"
  const match = new RegExp(`inequivalent arg '([^']+)' for .*: received ${value} but current is ${value}`).exec(text)
  if (match === null) return undefined
  return { argument: match[1] ?? '', received: match[3], current: match[6], type: match[7] }
}

/** `message size 5242880 is larger than configured max size 4194304` */
const sizeLimitIn = (text: string): number | undefined => {
  const match = /message size \d+ is larger than .*max size (\d+)/.exec(text)
  return match === null ? undefined : Number(match[1])
}

/** The server's `max_message_size`, where that is why it closed a channel. */
export const sizeLimitOf = (closure: unknown): number | undefined => sizeLimitIn(toError(closure).message)

/** The server's `consumer_timeout`, where that is why it closed a channel. */
export function settleTimeoutMs(closure: Error | undefined): number | undefined {
  const match = /acknowledgement on channel .*timed out\D*(\d+) ms/.exec(closure?.message ?? '')
  return match === null ? undefined : Number(match[1])
}

/** The reply code or the socket's; '' for what is neither. */
export const codeOf = (thrown: unknown): string => String((toError(thrown) as { code?: unknown }).code ?? '')

/** Asking again gives the same answer: rights, names, arguments. */
export const isFinal = (thrown: unknown): boolean =>
  thrown instanceof EvtError && ['refused', 'conflict', 'usage', 'unsupported', 'closed'].includes(thrown.code)

/** Any error as one that says what was tried, why it failed and what to do. */
export function translate(thrown: unknown, attempted: Attempted): EvtError {
  if (thrown instanceof EvtError) return thrown
  const error = toError(thrown)
  const translation = translationOf(thrown)
  if (translation === undefined)
    return new EvtError('internal', `cannot ${attempted}: ${error.message}`, { cause: error })
  const { code, reason, hint } = translation
  return new EvtError(code, `cannot ${attempted}: ${reason}`, { hint, cause: error })
}

function translationOf(thrown: unknown): Translation | undefined {
  const error = toError(thrown)
  const code = codeOf(error)
  if (/^(ERR_SSL|ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|EPROTO|HOSTNAME_MISMATCH)/.test(code))
    return overTls(code, error.message)
  return byCode[code]?.(textOf(error))
}

function overTls(code: string, message: string): Translation {
  if (/WRONG_VERSION|PACKET_LENGTH|EPROTO/.test(code)) {
    return {
      code: 'connect',
      reason: 'the port does not speak TLS',
      hint: 'write amqp:// for it, or name the TLS port (5671)',
    }
  }
  return {
    code: 'connect',
    reason: `the server's certificate is not trusted: ${message}`,
    hint: 'name the authority that signed it: ?ca=FILE; ?verify=false takes any',
  }
}

export const missing = (attempted: Attempted) =>
  new EvtError('usage', `cannot ${attempted}: there is no topic, exchange or queue of that name`, {
    hint: '`rabbitmqctl list_exchanges` and `rabbitmqctl list_queues` show which there are in this vhost',
  })
