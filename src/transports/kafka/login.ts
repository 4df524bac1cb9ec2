import SaslAuthenticator from 'kafkajs/src/broker/saslAuthenticator/index.js'
import { EvtError, toError } from '../../core/errors.ts'
import { lasting } from './errors.ts'
import type { Framed } from './framing.ts'
import type { Address, KafkaOptions } from './options.ts'
import type { Versions } from './protocol.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {}, namespace: () => silent }

/** Throws `connect` that trying again does not mend. */
export async function logIn(
  call: Framed['call'],
  versions: Versions,
  { sasl, shown }: KafkaOptions,
  { host, port }: Address,
): Promise<void> {
  if (sasl === undefined) return
  type KafkaJsCall = {
    request: { apiKey: number; apiVersion: number; encode(): Promise<{ buffer: Buffer }> }
    response: { decode(payload: Buffer): Promise<unknown>; parse(data: unknown): Promise<unknown> }
  }
  const send = ({ request, response }: KafkaJsCall) =>
    call({
      name: 'SASL',
      apiKey: request.apiKey,
      apiVersion: request.apiVersion,
      encode: async () => (await request.encode()).buffer,
      decode: async (payload) => response.parse(await response.decode(payload)),
    })
  const { mechanism, username, password } = sasl
  const connection = { sasl: { mechanism, username, password }, host, port, send }
  try {
    await new SaslAuthenticator(connection, silent, versions, true).authenticate()
  } catch (thrown) {
    if (thrown instanceof EvtError) throw thrown
    const cause = toError(thrown)
    const error = (reason: string, hint: string) =>
      lasting(new EvtError('connect', `cannot log in to ${shown}: ${reason}`, { hint, cause }))
    if (/not supported by the server|UNSUPPORTED_SASL|mechanism is not/i.test(cause.message)) {
      throw error(
        `the server does not know ${mechanism}`,
        'choose another of ?sasl=plain, scram-sha-256, scram-sha-512',
      )
    }
    if (/not valid given the current SASL state|ILLEGAL_SASL/i.test(cause.message)) {
      throw error(
        'the server asks for no password on this port',
        'leave user and password out of the URL, or use the port with SASL',
      )
    }
    throw error(`user ${username} or the password is wrong`, 'check user, password and ?sasl=')
  }
}
