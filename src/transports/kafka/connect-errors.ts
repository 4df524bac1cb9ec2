import { EvtError } from '../../core/errors.ts'
import { lasting } from './errors.ts'

export function noKafka(name: string, start: Buffer): EvtError {
  const isTls = start[0] === 0x15 && start[1] === 0x03
  if (isTls) {
    const hint = 'add ?tls=true (and ?ca=FILE for a certificate of your own), or use the plain port'
    return lasting(new EvtError('connect', `cannot connect to ${name}: the port speaks TLS`, { hint }))
  }
  return lasting(
    new EvtError('connect', `cannot connect to ${name}: what answers there is not Kafka`, {
      hint: 'check host and port',
    }),
  )
}

export function lost(name: string, cause: Error & { code?: string }, isTls: boolean, isEstablished: boolean): EvtError {
  const { code = '' } = cause
  if (isTls && !isEstablished && /^(?:EPROTO|ERR_SSL|ECONNRESET)/.test(code)) {
    const hint = 'leave ?tls=true out, or use the port that speaks TLS'
    return lasting(
      new EvtError('connect', `cannot connect to ${name}: the port does not speak TLS (${code})`, { hint, cause }),
    )
  }
  if (/CERT|SELF_SIGNED|ISSUER|ALTNAME/.test(code)) {
    const hint = 'give the certificate of its authority: ?ca=FILE'
    return lasting(
      new EvtError('connect', `cannot connect to ${name}: its certificate is not trusted: ${cause.message}`, {
        hint,
        cause,
      }),
    )
  }
  const reasons: Readonly<Record<string, readonly [string, string]>> = {
    ECONNREFUSED: ['nothing listens there', 'start the broker, or check host and port'],
    ENOTFOUND: ['there is no such host', 'check the host; the brokers themselves are named by advertised.listeners'],
    EAI_AGAIN: ['the host name cannot be looked up', 'check the network and the host'],
    EHOSTUNREACH: ['the host cannot be reached', 'check the network and the host'],
  }
  const [reason, hint] = reasons[code] ?? [cause.message, 'check host and port']
  return new EvtError('connect', `cannot connect to ${name}: ${reason}`, { hint, cause })
}

export function noAnswer(name: string, withinMs: number): EvtError {
  const hint = 'check host and port: is it Kafka, and does a firewall let it answer? Kafka listens on 9092 as a rule'
  return new EvtError('timeout', `cannot connect to ${name}: no answer within ${withinMs} ms`, { hint })
}

export function closedByServer(name: string, isEstablished: boolean, isTls: boolean): EvtError {
  if (isEstablished) return new EvtError('connect', `cannot use ${name}: the connection was closed`)
  const hint = isTls
    ? 'the port may be a plain one: leave ?tls=true out'
    : 'the port may want TLS (?tls=true), or be no Kafka'
  return new EvtError('connect', `cannot connect to ${name}: it closed the connection at once`, { hint })
}
